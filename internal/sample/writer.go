package sample

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// deepest bounds how far schemas that refer to themselves are followed, and longest how many values one holds. Beyond
// shallow, what may be left out is.
const (
	deepest = 32
	longest = 10_000
	shallow = 4
)

// writer makes one value.
type writer struct {
	root   any
	turn   int    // counts what is written, so that items of a list differ
	failed string // the first schema for which there was no value
}

func (w *writer) why() string {
	if w.failed == "" {
		return "it accepts nothing"
	}
	return w.failed
}

func (w *writer) fail(format string, args ...any) (any, bool) {
	if w.failed == "" {
		w.failed = fmt.Sprintf(format, args...)
	}
	return nil, false
}

// value writes a value for a schema. It may be wrong where keywords of a schema contradict each other or are not known here.
func (w *writer) value(schema any, depth int) (any, bool) {
	if w.turn++; w.turn > longest {
		return w.fail("it asks for more than %d values", longest)
	}
	if depth > deepest {
		return w.fail("it refers to itself without an end")
	}
	s, isObject := schema.(*object)
	if accept, isBool := schema.(bool); isBool && !accept || !isObject && !isBool {
		return w.fail("%v accepts nothing", schema)
	}
	for hops := 0; s.has("$ref"); hops++ {
		if hops > deepest {
			return w.fail("it refers to itself without an end")
		}
		ref, _ := s.get("$ref").(string)
		target, ok := w.resolve(ref)
		if !ok {
			return w.fail("%q leads nowhere in it", ref)
		}
		s = merge(without(s, "$ref"), target)
	}
	if all := s.list("allOf"); all != nil {
		s = without(s, "allOf")
		for _, part := range all {
			if o, ok := part.(*object); ok {
				s = merge(s, o)
			}
		}
		return w.value(s, depth+1)
	}
	for _, choice := range []string{"anyOf", "oneOf"} {
		if branches := s.list(choice); branches != nil {
			return w.oneOf(without(s, choice), branches, depth)
		}
	}
	return w.plain(s, depth)
}

// oneOf writes a value for the first branch that has one. Deep down, the one that ends soonest is looked for.
func (w *writer) oneOf(base *object, branches []any, depth int) (any, bool) {
	if depth > shallow {
		branches = slices.Clone(branches)
		slices.SortStableFunc(branches, func(a, b any) int { return weight(a) - weight(b) })
	}
	for _, branch := range branches {
		o, ok := branch.(*object)
		if !ok {
			continue
		}
		if v, ok := w.value(merge(base, o), depth+1); ok {
			return v, true
		}
	}
	return w.fail("none of its choices has a value")
}

// weight orders branches by how surely they end.
func weight(schema any) int {
	o, _ := schema.(*object)
	switch kind := kindOf(o); {
	case o.has("const") || o.has("enum") || kind == "null":
		return 0
	case o.has("$ref") || kind == "object":
		return 3
	case kind == "array":
		return 2
	}
	return 1
}

// plain writes a value for a schema without references and choices.
func (w *writer) plain(s *object, depth int) (any, bool) {
	if s.has("const") {
		return s.get("const"), true
	}
	if enum := s.list("enum"); len(enum) > 0 {
		return enum[w.turn%len(enum)], true
	}
	switch kind := kindOf(s); kind {
	case "object":
		return w.object(s, depth)
	case "array":
		return w.array(s, depth)
	case "string":
		return w.text(s)
	case "integer", "number":
		return w.number(s, kind == "integer")
	case "boolean":
		return true, true
	case "null":
		return nil, true
	default:
		return w.fail("%q is no type", kind)
	}
}

// kindOf gives the type to write: the first that is not null, or the one that the other keywords speak of.
func kindOf(s *object) string {
	switch t := s.get("type").(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if name, ok := one.(string); ok && (name != "null" || len(t) == 1) {
				return name
			}
		}
	}
	for _, row := range []struct{ kind, keywords string }{
		{"object", "properties required additionalProperties minProperties"},
		{"array", "items prefixItems minItems"},
		{"number", "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"},
	} {
		for _, keyword := range strings.Fields(row.keywords) {
			if s.has(keyword) {
				return row.kind
			}
		}
	}
	return "string"
}

func (w *writer) object(s *object, depth int) (any, bool) {
	out := &object{}
	required := s.list("required")
	properties := s.object("properties")
	if properties != nil {
		for _, name := range properties.keys {
			must := slices.Contains(required, any(name))
			if !must && depth > shallow {
				continue
			}
			v, ok := w.value(properties.values[name], depth+1)
			if ok {
				out.set(name, v)
			} else if must {
				return nil, false
			}
		}
	}
	for _, name := range required {
		if key, ok := name.(string); ok && !out.has(key) {
			if v, ok := w.value(additional(s), depth+1); ok {
				out.set(key, v)
			}
		}
	}
	for i := 1; len(out.keys) < s.count("minProperties", 0) && i <= 64; i++ {
		if v, ok := w.value(additional(s), depth+1); ok {
			out.set(fmt.Sprintf("simulated_%d", i), v)
		}
	}
	return out, true
}

// additional is the schema of members that are not among the properties.
func additional(s *object) any {
	if more := s.get("additionalProperties"); more != nil {
		return more
	}
	return true
}

func (w *writer) array(s *object, depth int) (any, bool) {
	out := []any{}
	first := s.list("prefixItems")
	least := s.count("minItems", 0)
	n := max(least, len(first))
	if least == 0 && len(first) == 0 && depth <= shallow {
		n = 1
	}
	n = min(n, s.count("maxItems", n))
	items := s.get("items")
	if items == nil {
		items = true
	}
	for i := range n {
		schema := items
		if i < len(first) {
			schema = first[i]
		}
		v, ok := w.value(schema, depth+1)
		if !ok {
			if i < least {
				return nil, false
			}
			break
		}
		out = append(out, v)
	}
	return out, true
}

// resolve follows a reference within the document.
func (w *writer) resolve(ref string) (*object, bool) {
	path, inside := strings.CutPrefix(ref, "#")
	if !inside {
		return nil, false
	}
	at := w.root
	for _, step := range strings.Split(path, "/")[1:] {
		o, ok := at.(*object)
		if !ok {
			return nil, false
		}
		at = o.get(strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
	}
	if accept, isBool := at.(bool); isBool && accept {
		return &object{}, true
	}
	o, ok := at.(*object)
	return o, ok
}

func without(s *object, key string) *object {
	out := &object{}
	for _, k := range s.keys {
		if k != key {
			out.set(k, s.values[k])
		}
	}
	return out
}

// merge joins two schemas that both must hold. Bounds are narrowed and members joined; of anything else, what a says counts, for it
// stands closer to where the value is.
func merge(a, b *object) *object {
	out := &object{}
	for _, key := range a.keys {
		out.set(key, a.values[key])
	}
	for _, key := range b.keys {
		theirs := b.values[key]
		if !a.has(key) {
			out.set(key, theirs)
			continue
		}
		out.set(key, join(key, a.values[key], theirs))
	}
	return out
}

func join(key string, ours, theirs any) any {
	switch key {
	case "properties":
		a, aOK := ours.(*object)
		b, bOK := theirs.(*object)
		if aOK && bOK {
			return joinProperties(a, b)
		}
	case "required":
		a, _ := ours.([]any)
		b, _ := theirs.([]any)
		return slices.Concat(a, b)
	case "allOf", "anyOf", "oneOf":
		a, _ := ours.([]any)
		b, _ := theirs.([]any)
		if key == "allOf" {
			return slices.Concat(a, b)
		}
	case "minimum", "minLength", "minItems", "minProperties", "exclusiveMinimum":
		return narrower(ours, theirs, 1)
	case "maximum", "maxLength", "maxItems", "maxProperties", "exclusiveMaximum":
		return narrower(ours, theirs, -1)
	}
	return ours
}

func joinProperties(a, b *object) *object {
	out := &object{}
	for _, name := range a.keys {
		out.set(name, a.values[name])
	}
	for _, name := range b.keys {
		theirs := b.values[name]
		x, xOK := a.get(name).(*object)
		y, yOK := theirs.(*object)
		switch {
		case !a.has(name):
			out.set(name, theirs)
		case xOK && yOK:
			out.set(name, merge(x, y))
		}
	}
	return out
}

func narrower(a, b any, sign float64) any {
	x, xOK := a.(json.Number)
	y, yOK := b.(json.Number)
	if !xOK || !yOK {
		return a
	}
	fx, _ := x.Float64()
	fy, _ := y.Float64()
	if sign*fy > sign*fx {
		return b
	}
	return a
}
