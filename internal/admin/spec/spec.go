// Package spec holds answers of the two APIs against their OpenAPI document. It is for tests: it promises that an answer
// it accepts has exactly the status, the content type and the fields that the document names, and it never serves anyone.
package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Spec is one OpenAPI 3.1 document. It is not safe for concurrent use.
type Spec struct {
	doc        map[string]any
	compiler   *jsonschema.Compiler
	operations []operation
}

// Operation is a method and a path of the document, with {names} in it.
type Operation struct {
	Method, Path string
}

func (o Operation) String() string { return o.Method + " " + o.Path }

type operation struct {
	Operation
	tags    []string
	matches *regexp.Regexp
	body    map[string]any
}

const root = "openapi.json"

// Load reads a document. Objects that do not say whether they have further properties have none: a field that an answer
// has and the document lacks is an error then.
func Load(document []byte) (*Spec, error) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	doc := parsed.(map[string]any)
	closeObjects(doc["components"])
	s := &Spec{doc: doc, compiler: jsonschema.NewCompiler()}
	s.compiler.AssertFormat()
	if err := s.compiler.AddResource(root, doc); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	for path, item := range doc["paths"].(map[string]any) {
		for method, body := range item.(map[string]any) {
			s.operations = append(s.operations, newOperation(method, path, body.(map[string]any)))
		}
	}
	// The more of a path is literal, the more exact it is.
	slices.SortFunc(s.operations, func(a, b operation) int { return literal(b.Path) - literal(a.Path) })
	return s, s.compileAll()
}

func newOperation(method, path string, body map[string]any) operation {
	o := operation{Operation: Operation{strings.ToUpper(method), path}, body: body}
	for _, tag := range body["tags"].([]any) {
		o.tags = append(o.tags, tag.(string))
	}
	pattern := regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), `.+`)
	o.matches = regexp.MustCompile("^" + pattern + "$")
	return o
}

func literal(path string) int {
	return len(regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, ""))
}

// closeObjects makes every object schema below v exact.
func closeObjects(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			closeObjects(e)
		}
	case map[string]any:
		_, isObject := v["properties"].(map[string]any)
		if _, said := v["additionalProperties"]; isObject && !said {
			v["additionalProperties"] = false
		}
		for _, e := range v {
			closeObjects(e)
		}
	}
}

// compileAll finds schemas that are wrong and references that lead nowhere.
func (s *Spec) compileAll() error {
	components := s.doc["components"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(components["schemas"].(map[string]any))) {
		if _, err := s.compiler.Compile(root + "#/components/schemas/" + name); err != nil {
			return fmt.Errorf("compiling the schema %s: %w", name, err)
		}
	}
	return nil
}

// Operations lists the operations that have the tag, sorted.
func (s *Spec) Operations(tag string) []Operation {
	var tagged []Operation
	for _, o := range s.operations {
		if slices.Contains(o.tags, tag) {
			tagged = append(tagged, o.Operation)
		}
	}
	slices.SortFunc(tagged, func(a, b Operation) int { return strings.Compare(a.String(), b.String()) })
	return tagged
}

// Check holds one answer against the operation that its request's method and path (without a query) belong to. A request
// that belongs to none may only be answered 401, 403, 404 or 405, with an Error.
func (s *Spec) Check(method, path string, status int, contentType string, body []byte) error {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("content type %q: %w", contentType, err)
	}
	i := slices.IndexFunc(s.operations, func(o operation) bool { return o.Method == method && o.matches.MatchString(path) })
	if i < 0 {
		if !slices.Contains([]int{401, 403, 404, 405}, status) {
			return fmt.Errorf("%s %s is not in the document, and was answered %d", method, path, status)
		}
		return s.validate(root+"#/components/schemas/Error", body)
	}
	o := s.operations[i]
	responses := o.body["responses"].(map[string]any)
	response, ok := responses[fmt.Sprint(status)].(map[string]any)
	if !ok {
		return fmt.Errorf("%s was answered %d, which the document does not have; it has %v", o, status, slices.Sorted(maps.Keys(responses)))
	}
	at := fmt.Sprintf("%s#/paths/%s/%s/responses/%d", root, pointer(o.Path), strings.ToLower(method), status)
	if ref, isRef := response["$ref"].(string); isRef {
		at = root + ref
		name := strings.TrimPrefix(ref, "#/components/responses/")
		response = s.doc["components"].(map[string]any)["responses"].(map[string]any)[name].(map[string]any)
	}
	content := response["content"].(map[string]any)
	if content[media] == nil {
		return fmt.Errorf("%s was answered in %s, the document has %v", o, media, slices.Sorted(maps.Keys(content)))
	}
	if err := s.content(media, at+"/content/"+pointer(media)+"/schema", body); err != nil {
		return fmt.Errorf("%s, answer %d: %w", o, status, err)
	}
	return nil
}

func (s *Spec) content(media, schema string, body []byte) error {
	switch media {
	case "application/json":
		return s.validate(schema, body)
	case "text/event-stream":
		for line := range bytes.Lines(body) {
			data, found := bytes.CutPrefix(bytes.TrimRight(line, "\n"), []byte("data: "))
			if !found || !json.Valid(data) {
				continue
			}
			if err := s.event(schema, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// event holds the data of an event against its schema; where that says just text, there is nothing to hold it against.
func (s *Spec) event(at string, data []byte) error {
	schema, err := s.compiler.Compile(at)
	if err != nil {
		return fmt.Errorf("compiling %s: %w", at, err)
	}
	if schema.Ref == nil {
		return nil
	}
	return s.validate(at, data)
}

func (s *Spec) validate(at string, body []byte) error {
	schema, err := s.compiler.Compile(at)
	if err != nil {
		return fmt.Errorf("compiling %s: %w", at, err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("reading %q: %w", body, err)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%s: %w", body, err)
	}
	return nil
}

// pointer escapes one step of a JSON pointer in a URL's fragment.
func pointer(step string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(step)
}
