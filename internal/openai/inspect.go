package openai

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// maxModel bounds a model's name in bytes: it is looked up, logged and said in errors.
const maxModel = 512

// maxEscape is how many bytes one byte of text takes at most where it is escaped, such as \u0061.
const maxEscape = 6

// mark is the byte order mark in UTF-8.
const mark = "\xEF\xBB\xBF"

// RequestError says why a request body is refused with status 400 and code invalid_request.
type RequestError struct {
	Message string // for the caller
	Param   string // the field at fault, or ""
}

func (e *RequestError) Error() string { return e.Message }

// inspector is one scan.
type inspector struct {
	lexer
	f       *Fields
	table   table
	crowded bool // there are more findings than are kept
	words   int  // bytes of a chat's text that are certain to be read
}

// Inspect scans body, a request to the endpoint ("chat", "completions", "embeddings", …), strictly and once: everything
// is checked before anything is believed. It allocates nothing if f was used for the same model before and nothing is found.
// The error is a *RequestError. Fields that some engine refuses are no error: which engine it will be is the caller's to know (Refused).
func Inspect(body []byte, endpoint string, f *Fields) error {
	before := f.Model
	f.reset()
	f.wantUsage = endpoint == "chat" || endpoint == "completions"
	in := inspector{lexer: lexer{b: body}, f: f, table: bodies[endpoint]}
	if row := in.table["cache_salt"]; row != nil {
		f.salted = row.takes
	}
	if !utf8.Valid(body) {
		return &RequestError{Message: "The request body is not valid UTF-8."}
	}
	if bytes.HasPrefix(body, []byte(mark)) { // of editors and shells; no engine takes it
		in.i, f.from = len(mark), len(mark)
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
	if in.crowded {
		return &RequestError{Message: "The request has more than " + strconv.Itoa(maxFindings) + " fields that are not known here.", Param: f.findings[0].Path}
	}
	in.settle()
	in.longest(in.words / longestToken)
	if f.LeastPrompt > 0 {
		if row := in.table["truncate_prompt_tokens"]; row != nil && f.has(row) {
			f.LeastPrompt = 0
		}
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
	if in.long {
		return &RequestError{Message: "The request body has a key of more than " + strconv.Itoa(maxKey) + " bytes, which ends at byte " + strconv.Itoa(in.i) + "."}
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
	m := member{before: in.i}
	for {
		m.key = in.i
		name, escaped, ok := in.key()
		if !ok {
			return in.malformed("")
		}
		m.value.start = in.i
		in.f.path = append(in.f.path[:0], step{key: name, index: -1})
		key := in.decode(name, escaped)
		row := in.table[string(key)]
		if err := in.member(row, before); err != nil {
			return err
		}
		m.value.end = in.i
		if row == nil || row.takes != every {
			in.foundField(row, key, m)
		}
		another, ok := in.more('}')
		if !ok {
			return in.malformed("")
		}
		if !another {
			return nil
		}
		in.followed(m)
		m.before = m.value.end
		m.index++
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

// member scans the value of a member of the top-level object. Those of a row may stand only once, because parsers differ in which one counts.
func (in *inspector) member(row *field, before string) error {
	f := in.f
	if row == nil {
		row = &field{}
	} else if f.has(row) {
		return &RequestError{Message: "The parameter " + row.name + " was given more than once.", Param: row.name}
	} else {
		f.seen[row.number/64] |= 1 << (row.number % 64)
	}
	switch row.read {
	case readModel:
		return in.model(before)
	case readStream:
		return in.flag("stream", &f.Stream)
	case readStreamOptions:
		return in.streamOptions()
	case readCacheSalt:
		return in.cacheSalt()
	}
	if !in.value(row.holds, 1) {
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
	var id []byte
	if s.end-s.start <= maxEscape*maxModel {
		id = in.decode(s, escaped)
	}
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
		in.f.path = append(in.f.path[:1], step{key: name, index: -1})
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
		if objects[inStreamOptions][string(key)] == nil {
			in.found(name(key), in.i)
		}
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
