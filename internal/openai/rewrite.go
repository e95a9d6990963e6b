package openai

import (
	"slices"
)

// edit replaces a part of the body.
type edit struct {
	span
	with []byte
}

var (
	askWhole  = []byte(`"stream_options":{"include_usage":true},`)
	askObject = []byte(`{"include_usage":true}`)
	askMember = []byte(`"include_usage":true,`)
	askOnly   = []byte(`"include_usage":true`)
	yes       = []byte(`true`)
)

// Rewrite gives the segments of the body to send to the engine, in order, without the inert fields that the engine would refuse. Body
// is the one inspected; it is cut, never copied. The segments are valid until the next Inspect or Rewrite of f, and must not be changed.
//
// Streams of chat and completions always ask for usage. A cacheSalt that is not empty becomes the engine's cache_salt, if it takes one; one
// that the caller gave is kept behind it, so that callers can still separate their own users, but never leave their org.
func (f *Fields) Rewrite(body []byte, to *Engine, cacheSalt string) [][]byte {
	f.edits, f.scratch = f.edits[:0], f.scratch[:0]
	if f.Stream && f.wantUsage {
		f.askUsage()
	}
	if cacheSalt != "" && f.salted&kindOf(to.Kind) != 0 {
		f.addSalt(body, cacheSalt)
	}
	f.dropFields(to)
	f.askSchema()
	slices.SortStableFunc(f.edits, func(a, b edit) int { return a.start - b.start })
	f.segments = f.segments[:0]
	at := f.from
	for _, e := range f.edits {
		if e.start > at {
			f.segments = append(f.segments, body[at:e.start])
		}
		if len(e.with) > 0 {
			f.segments = append(f.segments, e.with)
		}
		at = e.end
	}
	f.segments = append(f.segments, body[at:])
	return f.segments
}

func (f *Fields) askUsage() {
	e := edit{span: span{f.optionsIn, f.optionsIn}, with: askMember}
	switch {
	case f.IncludeUsage:
		return
	case f.options.start == 0:
		e = edit{span: span{f.inside, f.inside}, with: askWhole} // model is a member too, so the comma is right
	case f.optionsIn == 0:
		e = edit{span: f.options, with: askObject}
	case f.usage.start > 0:
		e = edit{span: f.usage, with: yes}
	case f.empty:
		e.with = askOnly
	}
	f.edits = append(f.edits, e)
}

func (f *Fields) addSalt(body []byte, salt string) {
	e := edit{span: f.salt}
	switch {
	case f.salt.start == 0:
		e.span = span{f.inside, f.inside}
		f.scratch = append(AppendString(append(f.scratch, `"cache_salt":`...), salt), ',')
	case body[f.salt.start] == 'n':
		f.scratch = AppendString(f.scratch, salt)
	default: // over the caller's opening quote: "ours:theirs"
		e.end = e.start + 1
		f.scratch = AppendString(f.scratch, salt)
		f.scratch[len(f.scratch)-1] = ':'
	}
	e.with = f.scratch
	f.edits = append(f.edits, e)
}

// dropFields cuts the fields that the engine would refuse and that may be dropped: each with the comma before it, the first ones with the comma
// behind. That not all go is certain: one of them is model.
func (f *Fields) dropFields(to *Engine) {
	kind, cut := kindOf(to.Kind), 0
	for i := range f.findings {
		found := &f.findings[i]
		if !found.drop || found.passes(kind, to.Allow) {
			continue
		}
		m := found.member
		e := edit{span: span{m.before, m.value.end}}
		if m.index == cut {
			e.span = span{m.key, m.next}
			cut++
		}
		f.edits = append(f.edits, e)
	}
}
