package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Decode reads a JSON object strictly into a struct, by the names of its json tags: a field that the struct does not have, or that comes twice, is an error
// that names it, because a change that is not made must not look as if it had been. encoding/json alone would match names in any case, and take the last of
// two. null for a pointer is the zero value, where an absent field leaves it nil. The error is an *openai.Error.
func Decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return openai.NewError(openai.CodeInvalidRequest, "the body is empty; send a JSON object")
	}
	return decode("", body, reflect.ValueOf(into).Elem())
}

// Member is one field of a JSON object.
type Member struct {
	Name  string
	Value json.RawMessage
}

// Members gives the fields of a body that is one JSON object, none of which may come twice. The error is an *openai.Error.
func Members(body []byte) ([]Member, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	open, err := d.Token()
	if err != nil {
		return nil, notJSON(err)
	}
	if open != json.Delim('{') {
		return nil, openai.NewError(openai.CodeInvalidRequest, "the body is not a JSON object")
	}
	var members []Member
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, notJSON(err)
		}
		m := Member{Name: key.(string)} // an object's keys are strings, or Token has failed
		if seen[m.Name] {
			return nil, Invalid(clip(m.Name), "comes twice; leave one of them")
		}
		seen[m.Name] = true
		if err := d.Decode(&m.Value); err != nil {
			return nil, notJSON(err)
		}
		members = append(members, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, notJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, openai.NewError(openai.CodeInvalidRequest, "the body has more after its JSON object")
	}
	return members, nil
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return openai.NewError(openai.CodeInvalidRequest, "the body is not valid JSON: "+err.Error())
}

// decode reads an object that stands in a field (prefix, with a dot) or is the whole body.
func decode(prefix string, body []byte, into reflect.Value) error {
	members, err := Members(body)
	if err != nil {
		return err
	}
	known := map[string]reflect.StructField{}
	var names []string
	for _, f := range reflect.VisibleFields(into.Type()) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			known[name] = f
			names = append(names, prefix+name)
		}
	}
	for _, m := range members {
		f, ok := known[m.Name]
		if !ok {
			return Invalid(prefix+clip(m.Name), "unknown; possible are %s", strings.Join(names, ", "))
		}
		if err := decodeField(prefix+m.Name, m.Value, into.FieldByIndex(f.Index)); err != nil {
			return err
		}
	}
	return nil
}

func decodeField(name string, value json.RawMessage, into reflect.Value) error {
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	if into.Kind() == reflect.Struct && value[0] == '{' {
		return decode(name+".", value, into)
	}
	err := json.Unmarshal(value, into.Addr().Interface())
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return Invalid(name, "is %s; it must be %s", mistyped.Value, kind(mistyped.Type))
	}
	if err != nil {
		return Invalid(name, "%s", err)
	}
	return nil
}

// kind is what a JSON value for the type is called.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	default:
		return "a number"
	}
}
