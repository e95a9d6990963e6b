package sample_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/sample"
)

// TestValue_IsAccepted has no want but validity, which Value checks itself: a row fails where no value is found.
func TestValue_IsAccepted(t *testing.T) {
	for _, schema := range []string{
		`{}`,
		`true`,
		`{"type":"object"}`,
		`{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":18,"maximum":21}},"required":["name","age"],"additionalProperties":false}`,
		`{"type":["string","null"],"maxLength":3}`,
		`{"type":["null"]}`,
		`{"enum":["celsius","fahrenheit"]}`,
		`{"const":{"a":[1,null]}}`,
		`{"anyOf":[{"type":"integer"},{"type":"null"}],"title":"Age"}`,
		`{"oneOf":[{"$ref":"#/$defs/cat"},{"$ref":"#/$defs/dog"}],"$defs":{"cat":{"type":"object","properties":{"kind":{"const":"cat"}},"required":["kind"]},"dog":{"type":"object","properties":{"kind":{"const":"dog"}},"required":["kind"]}}}`,
		`{"allOf":[{"type":"object","properties":{"n":{"minimum":3}},"required":["n"]},{"properties":{"n":{"type":"integer","maximum":3}}}]}`,
		`{"type":"array","items":{"type":"number"},"minItems":3,"maxItems":5}`,
		`{"type":"array","items":{"type":"string"},"minItems":4,"uniqueItems":true}`,
		`{"type":"array","prefixItems":[{"type":"string"},{"type":"boolean"}],"items":false,"minItems":2}`,
		`{"type":"array","maxItems":0}`,
		`{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}`,
		`{"type":"number","minimum":0,"maximum":1}`,
		`{"type":"integer","multipleOf":25,"minimum":101}`,
		`{"type":"integer","exclusiveMinimum":-5,"exclusiveMaximum":-3}`,
		`{"type":"string","minLength":40,"maxLength":40}`,
		`{"type":"string","pattern":"^[A-Z]{2}-\\d{4}(-x)?$"}`,
		`{"type":"string","pattern":"^(\\([0-9]{3}\\))?[0-9]{3}-[0-9]{4}$"}`,
		`{"type":"string","pattern":"^\\w+$","minLength":12}`,
		`{"type":"string","format":"date-time"}`,
		`{"type":"string","format":"email"}`,
		`{"type":"string","format":"uuid"}`,
		`{"type":"string","format":"ipv6"}`,
		`{"type":"object","additionalProperties":{"type":"integer"},"minProperties":2}`,
		`{"type":"object","required":["anything"]}`,
		`{"type":"object","properties":{"value":{"type":"string"},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["value","next"],"additionalProperties":false}`,
		`{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#/$defs/node"}}},"required":["children"]}}}`,
		`{"properties":{"a/b":{"$ref":"#/definitions/x~1y"}},"definitions":{"x/y":{"type":"boolean"}},"required":["a/b"]}`,
	} {
		value, err := sample.Value([]byte(schema))
		if err != nil {
			t.Errorf("%s: got %v, want a value", schema, err)
			continue
		}
		if !json.Valid(value) {
			t.Errorf("%s: got %s, want JSON", schema, value)
		}
		again, _ := sample.Value([]byte(schema))
		if string(again) != string(value) {
			t.Errorf("%s: got %s and %s, want the same twice", schema, value, again)
		}
	}
}

func TestValue_KeepsTheOrderOfTheSchema(t *testing.T) {
	value, err := sample.Value([]byte(`{"properties":{"zeal":{"const":1},"aim":{"const":2},"mind":{"const":3}},"type":"object"}`))
	if want := `{"zeal":1,"aim":2,"mind":3}`; err != nil || string(value) != want {
		t.Errorf("got %s, %v, want %s", value, err, want)
	}
}

func TestValue_RefusesWhatHasNone(t *testing.T) {
	for _, row := range []struct{ schema, says string }{
		{`{`, "reading the schema"},
		{`{"type":"thing"}`, "reading the schema"},
		{`{"$ref":"https://example.com/other.json"}`, "reading the schema"},
		{`{"$ref":"#/$defs/none"}`, "reading the schema"},
		{`false`, "accepts nothing"},
		{`{"type":"integer","minimum":3,"maximum":2}`, "no value was found"},
		{`{"type":"string","not":{"type":"string"}}`, "no value was found"},
		{`{"type":"array","items":{"type":"null"},"minItems":100000}`, "more than 10000 values"},
		{`{"type":"object","properties":{"me":{"$ref":"#"}},"required":["me"]}`, "without an end"},
	} {
		value, err := sample.Value([]byte(row.schema))
		if err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: got %s and error %v, want one that says %q", row.schema, value, err, row.says)
		}
	}
}
