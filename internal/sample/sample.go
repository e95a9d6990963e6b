package sample

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Value gives a JSON value, compact, that schema accepts. Drafts up to 2020-12 are known; formats count.
func Value(schema []byte) ([]byte, error) {
	root, err := decode(schema)
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	checked, err := compile(schema)
	if err != nil {
		return nil, err
	}
	w := writer{root: root}
	value, ok := w.value(root, 0)
	if !ok {
		return nil, fmt.Errorf("no value was found that the schema accepts: %s", w.why())
	}
	out, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("writing a value: %w", err)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
	if err != nil {
		return nil, fmt.Errorf("reading a value: %w", err)
	}
	if err := checked.Validate(plain); err != nil {
		return nil, fmt.Errorf("no value was found that the schema accepts: %s", complaint(err))
	}
	return out, nil
}

func compile(schema []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // loads nothing: a schema is complete in itself
	const name = "urn:schema"
	if err := c.AddResource(name, document); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	compiled, err := c.Compile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %s", strings.ReplaceAll(err.Error(), name, ""))
	}
	return compiled, nil
}

// complaint is the innermost reason of a validation error, on one line.
func complaint(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "- "))
}
