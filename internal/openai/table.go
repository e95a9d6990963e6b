package openai

// kinds is a set of engine kinds, as far as they differ in the fields that they take.
type kinds uint8

const (
	trtllm   kinds = 1 << iota // TensorRT-LLM's trtllm-serve, and the simulator of it: a field that it does not know is an error
	vllm                       // vLLM, and NIM, which serves through it: they ignore what they do not know
	llamacpp                   // kind openai: llama.cpp's llama-server, and whatever else serves OpenAI's API
	every    = trtllm | vllm | llamacpp
)

// kindOf gives the set of the one kind that the config names so. One that is not known takes only what all take.
func kindOf(name string) kinds {
	switch name {
	case "trtllm", "sim":
		return trtllm
	case "vllm", "nim":
		return vllm
	case "openai":
		return llamacpp
	}
	return 0
}

// field is a row of a table: what becomes of one member of an object in a request. A member without a row is refused for
// every engine, unless the model's allow list names it.
type field struct {
	name  string
	takes kinds // the kinds that document it: to these it is passed on
	// inert tells of a value that it changes nothing of the answer: it is then dropped for the other kinds. nil: never. What is
	// not dropped is refused for them. Only fields at the top of a body are ever dropped. The whole body has been scanned when it is asked.
	inert func(f *Fields, value []byte) bool

	number uint8 // in its table
	read   reading
	holds  place
}

// reading says which fields Inspect itself reads.
type reading uint8

const (
	readNothing reading = iota
	readModel
	readStream
	readStreamOptions
	readCacheSalt
)

var readings = map[string]reading{
	"model": readModel, "stream": readStream, "stream_options": readStreamOptions, "cache_salt": readCacheSalt,
}

// table is the fields of one object by name.
type table map[string]*field

// taken gives rows of fields that these kinds take; for the others they are refused.
func taken(by kinds, names ...string) table {
	t := make(table, len(names))
	for _, name := range names {
		t[name] = &field{name: name, takes: by}
	}
	return t
}

// dropped gives rows of fields that are dropped for these kinds where they are inert; the others take them.
func dropped(by kinds, inert func(f *Fields, value []byte) bool, names ...string) table {
	t := taken(every&^by, names...)
	for _, row := range t {
		row.inert = inert
	}
	return t
}

// anyway is for fields that are inert whatever their value.
func anyway(*Fields, []byte) bool { return true }

// tableOf makes a table of parts, which must not share a field. holds says what stands in fields that are scanned within.
func tableOf(holds map[string]place, parts ...table) table {
	t := table{}
	for _, part := range parts {
		for name, row := range part {
			if t[name] != nil {
				panic("two rows for the field " + name)
			}
			own := *row
			own.number, own.read, own.holds = uint8(len(t)), readings[name], holds[name]
			t[name] = &own
		}
	}
	return t
}
