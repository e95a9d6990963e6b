package openai

import (
	"strconv"
	"unicode/utf8"
)

// maxModel bounds a model's name in bytes: it is looked up, logged and said in errors.
const maxModel = 512

// maxEscape is how many bytes one byte of text takes at most where it is escaped, such as \u0061.
const maxEscape = 6

// RequestError says why a request body is refused with status 400 and code invalid_request.
type RequestError struct {
	Message string // for the caller
	Param   string // the field at fault, or ""
}

func (e *RequestError) Error() string { return e.Message }

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
