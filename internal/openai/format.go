package openai

// schemaFormat is a response_format {"type":"json_object","value":SCHEMA}. Hugging Face's client makes that, as its own servers take it, of OpenAI's
// json_schema; engines refuse it, or answer with any object.
type schemaFormat struct {
	kind  span // the value of type; start 0 = absent, or another
	key   span // from the key of value to its value
	value span // an object; start 0 = absent
	other bool // there is a member that such a format does not have
}

// format scans the value of response_format.
func (in *inspector) format(depth int) bool {
	if in.peek() != '{' {
		return in.skip(depth)
	}
	if !in.enter(depth + 1) {
		return false
	}
	if in.peek() == '}' {
		in.i++
		return true
	}
	f := &in.f.format
	for {
		before := in.i
		name, _, ok := in.key()
		start := in.i
		if !ok || !in.skip(depth+1) {
			return false
		}
		value := span{start, in.i}
		switch text := string(value.of(in.b)); string(name.of(in.b)) {
		case "type":
			f.other = f.other || text != `"json_object"` || f.kind.start > 0
			f.kind = value
		case "value":
			f.other = f.other || text[0] != '{' || f.value.start > 0
			f.key, f.value = span{before, start}, value
		default:
			f.other = true
		}
		if another, ok := in.more('}'); !another {
			return ok
		}
	}
}

var (
	schemaType = []byte(`"json_schema"`)
	schemaOpen = []byte(`"json_schema":{"name":"answer","schema":`)
	schemaEnd  = []byte(`}`)
)

// askSchema says json_schema as OpenAI does.
func (f *Fields) askSchema() {
	s := &f.format
	if s.other || s.kind.start == 0 || s.value.start == 0 {
		return
	}
	f.edits = append(
		f.edits, edit{span: s.kind, with: schemaType}, edit{span: s.key, with: schemaOpen},
		edit{span: span{s.value.end, s.value.end}, with: schemaEnd},
	)
}
