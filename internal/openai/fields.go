package openai

import "slices"

// Fields is what Inspect found in a request body. The zero value is ready; reuse it for the next request to save
// allocations. The segments of the last Rewrite keep the body alive until the next Inspect.
type Fields struct {
	Model        string
	Stream       bool
	IncludeUsage bool // the caller asked for the usage chunk of a stream

	Findings []Finding // fields that control the engine, and media to be fetched, in the order of the body

	wantUsage bool    // the endpoint has stream_options.include_usage
	inside    int     // after the opening brace of the body
	options   span    // value of stream_options; start 0 = absent
	optionsIn int     // after its opening brace; 0 = absent or null
	empty     bool    // it has no members
	usage     span    // value of include_usage; start 0 = absent
	salt      span    // value of cache_salt; start 0 = absent
	seen      routing // keys met so far
	path      []step
	scratch   []byte
	edits     []edit
	segments  [][]byte
}

// Finding is a part of a request that only models that allow it may receive.
type Finding struct {
	Name string // what a model's allow list calls it: the field's name, or "remote_media"
	Path string // where it stands, such as "messages[0].content[1].image_url.url"
}

// RemoteMedia is the name of findings that are media to be fetched by the engine: anything but a data: URL, since engines
// also take other strings for paths of their own files.
const RemoteMedia = "remote_media"

// Refused gives the path of the first finding that allow does not list, or "".
func (f *Fields) Refused(allow []string) string {
	for i := range f.Findings {
		if !slices.Contains(allow, f.Findings[i].Name) {
			return f.Findings[i].Path
		}
	}
	return ""
}

func (f *Fields) reset() {
	clear(f.segments[:cap(f.segments)])
	clear(f.edits[:cap(f.edits)])
	clear(f.Findings[:cap(f.Findings)])
	*f = Fields{
		Findings: f.Findings[:0], path: f.path[:0], scratch: f.scratch[:0],
		edits: f.edits[:0], segments: f.segments[:0],
	}
}

// routing is a set of the keys that may stand only once at the top of a body, because parsers differ in which one counts.
type routing uint16

const (
	keyModel routing = 1 << iota
	keyStream
	keyStreamOptions
	keyMaxTokens
	keyMaxCompletionTokens
	keyMessages
	keyPrompt
	keyInput
	keyN
	keyCacheSalt
)

func routingKey(key []byte) routing {
	switch string(key) {
	case "model":
		return keyModel
	case "stream":
		return keyStream
	case "stream_options":
		return keyStreamOptions
	case "max_tokens":
		return keyMaxTokens
	case "max_completion_tokens":
		return keyMaxCompletionTokens
	case "messages":
		return keyMessages
	case "prompt":
		return keyPrompt
	case "input":
		return keyInput
	case "n":
		return keyN
	case "cache_salt":
		return keyCacheSalt
	}
	return 0
}
