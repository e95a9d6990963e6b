package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// limits are the fields of orgs and tokens that are known, but not available yet.
var limits = []string{"budget_usd", "concurrency", "rpm"}

// read decodes a JSON object strictly: a field that into does not have, or that comes twice, is an error that names it,
// because a change that is not made must not look as if it had been. encoding/json alone would match names in any case,
// and take the last of two.
func read(c *fiber.Ctx, into any) error {
	body := c.Request().Body() // never c.Body(): it decompresses without a limit
	if len(bytes.TrimSpace(body)) == 0 {
		return openai.NewError(openai.CodeInvalidRequest, "the body is empty; send a JSON object")
	}
	if err := checkObject(body, fieldsOf(into)); err != nil {
		return err
	}
	err := json.Unmarshal(body, into)
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return edge.Invalid(mistyped.Field, "is %s; it must be %s", mistyped.Value, kind(mistyped.Type))
	}
	if err != nil {
		return openai.NewError(openai.CodeInvalidRequest, "the body is not valid JSON: "+err.Error())
	}
	return nil
}

func fieldsOf(v any) []string {
	var names []string
	for f := range reflect.TypeOf(v).Elem().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// checkObject checks that the body is one object whose fields are known, and none twice.
func checkObject(body []byte, known []string) error {
	names, err := fieldNames(body)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := checkField(name, known); err != nil {
			return err
		}
	}
	return nil
}

// fieldNames gives the fields of a body that is one object, none of which may come twice.
func fieldNames(body []byte) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	syntax := func(err error) error {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return openai.NewError(openai.CodeInvalidRequest, "the body is not valid JSON: "+err.Error())
	}
	open, err := d.Token()
	if err != nil {
		return nil, syntax(err)
	}
	if open != json.Delim('{') {
		return nil, openai.NewError(openai.CodeInvalidRequest, "the body is not a JSON object")
	}
	var seen []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, syntax(err)
		}
		name := key.(string) // an object's keys are strings, or Token has failed
		if slices.Contains(seen, name) {
			return nil, edge.Invalid(name, "comes twice; leave one of them")
		}
		seen = append(seen, name)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, syntax(err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, syntax(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, openai.NewError(openai.CodeInvalidRequest, "the body has more after its JSON object")
	}
	return seen, nil
}

func checkField(name string, known []string) error {
	switch {
	case slices.Contains(known, name):
		return nil
	case slices.Contains(limits, name):
		return edge.Invalid(name, "not available yet; leave it out")
	}
	return edge.Invalid(name, "unknown; possible are %s", strings.Join(known, ", "))
}

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
	default:
		return "a number"
	}
}
