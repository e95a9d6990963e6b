package openai

// Fields is what Inspect found in a request body. The zero value is ready; reuse it for the next request to save
// allocations. The segments of the last Rewrite keep the body alive until the next Inspect.
type Fields struct {
	Model        string
	Stream       bool
	IncludeUsage bool // the caller asked for the usage chunk of a stream
	LeastPrompt  int  // tokens that the longest prompt has at the very least, whatever the vocabulary; 0 = nothing is certain

	findings  []Finding // what not every engine may receive, in the order of the body
	salted    kinds     // that take cache_salt at the endpoint
	wantUsage bool      // the endpoint has stream_options.include_usage
	from      int       // the body's first byte behind a byte order mark
	inside    int       // after the opening brace of the body
	options   span      // value of stream_options; start 0 = absent
	optionsIn int       // after its opening brace; 0 = absent or null
	empty     bool      // it has no members
	usage     span      // value of include_usage; start 0 = absent
	salt      span      // value of cache_salt; start 0 = absent
	format    schemaFormat
	seen      [4]uint64 // rows of the endpoint's table met so far, by number
	path      []step
	scratch   []byte
	edits     []edit
	segments  [][]byte
}

// Engine is the engine that a request goes to, as far as it matters for what the request may carry.
type Engine struct {
	Kind  string   // as in the config: trtllm, nim, vllm, openai or sim
	Allow []string // what is let through beyond what the kind takes: names of fields, and RemoteMedia
}

// Refused gives the first finding that keeps the request from this engine, nil if none does.
func (f *Fields) Refused(e *Engine) *Finding {
	kind := kindOf(e.Kind)
	for i := range f.findings {
		if found := &f.findings[i]; !found.drop && !found.passes(kind, e.Allow) {
			return found
		}
	}
	return nil
}

// has reports whether a field of the table was given.
func (f *Fields) has(row *field) bool { return f.seen[row.number/64]&(1<<(row.number%64)) != 0 }

// usualDepth is how deep known members lie in most bodies, in steps: messages, the index of one, content, the index of a part, text.
const usualDepth = 6

// reset forgets all but the memory. It is done in place: a second Fields on the stack would double the stack of every request that waits behind it.
func (f *Fields) reset() {
	clear(f.segments[:cap(f.segments)])
	clear(f.edits[:cap(f.edits)])
	clear(f.findings[:cap(f.findings)])
	if f.path == nil {
		f.path = make([]step, 0, usualDepth)
	}
	findings, path, scratch, edits, segments := f.findings[:0], f.path[:0], f.scratch[:0], f.edits[:0], f.segments[:0]
	*f = Fields{}
	f.findings, f.path, f.scratch, f.edits, f.segments = findings, path, scratch, edits, segments
}
