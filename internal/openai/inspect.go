package openai

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxModel bounds a model's name in bytes: it is looked up, logged and said in errors.
const maxModel = 512

// maxPathKey bounds how much of a caller's key is said in a path, in bytes.
const maxPathKey = 64

// RequestError says why a request body is refused with status 400 and code invalid_request.
type RequestError struct {
	Message string // for the caller
	Param   string // the field at fault, or ""
}

func (e *RequestError) Error() string { return e.Message }

// place is where the scan is, as far as it matters for what a member may hold.
type place uint8

const (
	elsewhere    place = iota
	inMessages         // the value of messages, and the messages
	inContent          // anywhere under the content of a message, or under input
	inMedia            // the value of a member that names media
	inTemplating       // the value of chat_template_kwargs
)

// step is one part of the path to where the scan is.
type step struct {
	key   span
	index int // of an element; -1 = the key of a member
}

// inspector is one scan.
type inspector struct {
	lexer
	f *Fields
}

// Inspect scans body, a request to the endpoint ("chat", "completions", "embeddings", …), strictly and once: everything
// is checked before anything is believed. It allocates nothing if f was used for the same model before and nothing is found.
// The error is a *RequestError. A body with findings is no error: what a model allows is the caller's to know (Refused).
func Inspect(body []byte, endpoint string, f *Fields) error {
	before := f.Model
	f.reset()
	f.wantUsage = endpoint == "chat" || endpoint == "completions"
	in := inspector{lexer: lexer{b: body}, f: f}
	if !utf8.Valid(body) {
		return &RequestError{Message: "The request body is not valid UTF-8."}
	}
	in.space()
	if in.peek() != '{' {
		return in.malformed("a JSON object was expected")
	}
	if err := in.body(before); err != nil {
		return err
	}
	in.space()
	if in.i < len(body) {
		return in.malformed("there is more after the end of the object")
	}
	if f.Model == "" {
		return &RequestError{Message: "You must provide a model parameter.", Param: "model"}
	}
	if f.optionsIn > 0 && !f.Stream {
		return &RequestError{Message: "The stream_options parameter is only allowed when stream is enabled.", Param: "stream_options"}
	}
	return nil
}

func (in *inspector) malformed(why string) error {
	if in.deep {
		return &RequestError{Message: "The request body is nested more than " + strconv.Itoa(maxDepth) + " levels deep."}
	}
	if why == "" {
		why = "unexpected character"
	}
	if in.i >= len(in.b) {
		why = "unexpected end"
	}
	return &RequestError{Message: "The request body is not valid JSON: " + why + " at byte " + strconv.Itoa(in.i) + "."}
}

// body scans the top-level object.
func (in *inspector) body(before string) error {
	in.i++
	in.f.inside = in.i
	in.space()
	if in.peek() == '}' {
		in.i++
		return nil
	}
	for {
		name, escaped, ok := in.key()
		if !ok {
			return in.malformed("")
		}
		key := in.decode(name, escaped)
		in.f.path = append(in.f.path[:0], step{key: name, index: -1})
		if err := in.member(key, before); err != nil {
			return err
		}
		another, ok := in.more('}')
		if !ok {
			return in.malformed("")
		}
		if !another {
			return nil
		}
	}
}

// decode gives what a string stands for, valid until the next call.
func (in *inspector) decode(s span, escaped bool) []byte {
	if !escaped {
		return s.of(in.b)
	}
	in.f.scratch = appendDecoded(in.f.scratch[:0], s.of(in.b))
	return in.f.scratch
}

// member scans the value of a member of the top-level object.
func (in *inspector) member(key []byte, before string) error {
	f, k := in.f, routingKey(key)
	if f.seen&k != 0 {
		name := string(key)
		return &RequestError{Message: "The parameter " + name + " was given more than once.", Param: name}
	}
	f.seen |= k
	where := elsewhere
	switch k {
	case keyModel:
		return in.model(before)
	case keyStream:
		return in.flag("stream", &f.Stream)
	case keyStreamOptions:
		return in.streamOptions()
	case keyCacheSalt:
		return in.cacheSalt()
	case keyMessages:
		where = inMessages
	case keyInput:
		where = inContent
	case 0:
		if string(key) == "chat_template_kwargs" {
			where = inTemplating
		} else if name := engineControl(key); name != "" {
			in.found(name, in.i)
		}
	}
	if !in.value(where, 1) {
		return in.malformed("")
	}
	return nil
}

func (in *inspector) model(before string) error {
	if in.peek() != '"' {
		return in.mistyped("model", "a string")
	}
	s, escaped, ok := in.text()
	if !ok {
		return in.malformed("")
	}
	id := in.decode(s, escaped)
	if len(id) == 0 || len(id) > maxModel {
		return &RequestError{Message: "The model parameter must have 1 to " + strconv.Itoa(maxModel) + " bytes.", Param: "model"}
	}
	if in.f.Model = before; string(id) != before {
		in.f.Model = string(id)
	}
	return nil
}

// mistyped refuses a value of the wrong type, unless it is not even JSON.
func (in *inspector) mistyped(param, want string) error {
	if !in.skip(1) {
		return in.malformed("")
	}
	return &RequestError{Message: "The parameter " + param + " must be " + want + ".", Param: param}
}

// flag scans true, false or null, which counts as not given.
func (in *inspector) flag(param string, to *bool) error {
	c := in.peek()
	if c != 't' && c != 'f' && c != 'n' {
		return in.mistyped(param, "true or false")
	}
	if !in.skip(1) {
		return in.malformed("")
	}
	*to = c == 't'
	return nil
}

func (in *inspector) streamOptions() error {
	f := in.f
	f.options.start = in.i
	if in.peek() == 'n' {
		if !in.skip(1) {
			return in.malformed("")
		}
		f.options.end = in.i
		return nil
	}
	if in.peek() != '{' {
		return in.mistyped("stream_options", "an object")
	}
	in.i++
	f.optionsIn = in.i
	in.space()
	f.empty = in.peek() == '}'
	if f.empty {
		in.i++
		return nil
	}
	for {
		name, escaped, ok := in.key()
		if !ok {
			return in.malformed("")
		}
		if err := in.streamOption(in.decode(name, escaped)); err != nil {
			return err
		}
		another, ok := in.more('}')
		if !ok {
			return in.malformed("")
		}
		if !another {
			return nil
		}
	}
}

func (in *inspector) streamOption(key []byte) error {
	const param = "stream_options.include_usage"
	if string(key) != "include_usage" {
		if !in.skip(2) {
			return in.malformed("")
		}
		return nil
	}
	f := in.f
	if f.usage.start > 0 {
		return &RequestError{Message: "The parameter " + param + " was given more than once.", Param: param}
	}
	f.usage.start = in.i
	err := in.flag(param, &f.IncludeUsage)
	f.usage.end = in.i
	return err
}

func (in *inspector) cacheSalt() error {
	if c := in.peek(); c != '"' && c != 'n' {
		return in.mistyped("cache_salt", "a string")
	}
	in.f.salt.start = in.i
	if !in.skip(1) {
		return in.malformed("")
	}
	in.f.salt.end = in.i
	return nil
}

// found notes a finding whose value begins at start, unless that value is null or false: it then asks for nothing. The
// first of each name is enough, and keeps a body full of findings from becoming a list as long.
func (in *inspector) found(name string, start int) {
	if start >= len(in.b) || in.b[start] == 'n' || in.b[start] == 'f' {
		return
	}
	for i := range in.f.Findings {
		if in.f.Findings[i].Name == name {
			return
		}
	}
	in.f.Findings = append(in.f.Findings, Finding{Name: name, Path: in.at()})
}

// at renders the path.
func (in *inspector) at() string {
	var p []byte
	for _, s := range in.f.path {
		if s.index >= 0 {
			p = append(strconv.AppendInt(append(p, '['), int64(s.index), 10), ']')
			continue
		}
		if len(p) > 0 {
			p = append(p, '.')
		}
		key := s.key.of(in.b)
		p = append(p, key[:min(len(key), maxPathKey)]...)
	}
	return strings.ToValidUTF8(string(p), "")
}

// value scans any value. Where nothing can be found it is skipped, which is the fast path.
func (in *inspector) value(where place, depth int) bool {
	if where == elsewhere {
		return in.skip(depth)
	}
	switch in.peek() {
	case '{':
		return in.object(where, depth+1)
	case '[':
		return in.array(where, depth+1)
	case '"':
		s, _, ok := in.text()
		if ok && where == inMedia && !isData(s.of(in.b)) {
			in.found(RemoteMedia, s.start-1)
		}
		return ok
	}
	return in.skip(depth)
}

func (in *inspector) array(where place, depth int) bool {
	if !in.enter(depth) {
		return false
	}
	if in.peek() == ']' {
		in.i++
		return true
	}
	top := len(in.f.path)
	for n := 0; ; n++ {
		in.f.path = append(in.f.path[:top], step{index: n})
		if !in.value(where, depth) {
			return false
		}
		if another, ok := in.more(']'); !another {
			in.f.path = in.f.path[:top]
			return ok
		}
	}
}

func (in *inspector) object(where place, depth int) bool {
	if !in.enter(depth) {
		return false
	}
	if in.peek() == '}' {
		in.i++
		return true
	}
	top := len(in.f.path)
	for {
		name, escaped, ok := in.key()
		if !ok {
			return false
		}
		in.f.path = append(in.f.path[:top], step{key: name, index: -1})
		inner, control := within(where, in.decode(name, escaped))
		if control != "" {
			in.found(control, in.i)
		}
		if !in.value(inner, depth) {
			return false
		}
		if another, ok := in.more('}'); !another {
			in.f.path = in.f.path[:top]
			return ok
		}
	}
}

// within says where the value of a member stands, and the name of the finding that the member itself is, if it is one.
func within(where place, key []byte) (inner place, control string) {
	switch where {
	case inMessages:
		if string(key) == "content" {
			return inContent, ""
		}
	case inContent, inMedia:
		if mediaKey(key) {
			return inMedia, ""
		}
		return inContent, tensorKey(key)
	case inTemplating:
		return elsewhere, templateControl(key)
	}
	return elsewhere, ""
}

// isData reports whether the inside of a JSON string is a data: URL, also if it is written with escapes.
func isData(raw []byte) bool {
	const scheme = "data:"
	if bytes.HasPrefix(raw, []byte(scheme)) {
		return true
	}
	if len(raw) == 0 || raw[0] != '\\' && !bytes.Contains(raw[:min(len(raw), 6*len(scheme))], []byte{'\\'}) {
		return false
	}
	var decoded [64]byte
	return bytes.HasPrefix(appendDecoded(decoded[:0], raw[:wholeEscapes(raw, 6*len(scheme))]), []byte(scheme))
}

// wholeEscapes is the largest length up to n that does not cut an escape of raw in two.
func wholeEscapes(raw []byte, n int) int {
	i := 0
	for i < len(raw) && i < n {
		if raw[i] != '\\' {
			i++
			continue
		}
		i = escapeEnd(raw, i)
	}
	return i
}
