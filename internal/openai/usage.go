package openai

import "bytes"

// Usage counts tokens as the engine did.
type Usage struct {
	PromptTokens, CompletionTokens int64
	Known                          bool // the engine has said so
	impossible                     bool // it has said what is no number of tokens
}

// mostChoices is how many answers one request may ask for (n), by OpenAI's API.
const mostChoices = 128

// Possible reports whether an engine can have used so much for a request of one prompt: neither it nor an answer is longer than the context,
// in tokens; 0 = that is not known.
func (u Usage) Possible(context int) bool {
	return !u.impossible && (context <= 0 || u.PromptTokens <= int64(context) && u.CompletionTokens <= mostChoices*int64(context))
}

// Answer is what a complete JSON answer says.
type Answer struct {
	Usage Usage
	Error bool   // it is an error, whatever its status
	list  []byte // of what was generated
}

// Possible reports whether an engine can have used so much for the answer: none of its choices, nor what they answer, is longer than the context.
func (a *Answer) Possible(context int) bool {
	u := a.Usage
	if u.impossible || context <= 0 || max(u.PromptTokens, u.CompletionTokens) <= int64(context) {
		return !u.impossible
	}
	return max(u.PromptTokens, u.CompletionTokens) <= int64(context)*int64(count(a.list))
}

// ReadAnswer reads an answer in which the member list holds what was generated, such as choices. It is false if body is no JSON object, or
// nothing was generated: a TensorRT-LLM whose executor has died answers 200 with the body "null".
func ReadAnswer(body []byte, list string) (Answer, bool) {
	a, whole := glanceAt(body, list)
	read := Answer{Usage: parseUsage(a.usage), Error: a.fault != nil || a.isError, list: a.list}
	return read, whole && !read.Error && a.some
}

// answer is what the top level of an answer or chunk says.
type answer struct {
	usage   []byte // value of usage, nil if absent or null
	fault   []byte // value of error, nil if absent or null
	message []byte // value of message
	detail  []byte // value of detail
	code    []byte // value of code
	kind    []byte // value of type
	isError bool   // object is "error"
	list    []byte // value of the list of what was generated
	some    bool   // it has members
}

// glance reads the top level of an answer and skips the rest. It is false if data is no JSON object; a is then what was read so far.
func glance(data []byte) (answer, bool) { return glanceAt(data, "choices") }

func glanceAt(data []byte, list string) (a answer, ok bool) {
	l := lexer{b: data}
	l.space()
	ok = l.members(func(key, value []byte) {
		null := value[0] == 'n'
		switch string(key) {
		case list:
			in := lexer{b: value}
			a.list, a.some = value, in.take('[') && in.peek() != ']'
		case "usage":
			if !null {
				a.usage = value
			}
		case "error":
			if !null {
				a.fault = value
			}
		case "message":
			a.message = value
		case "detail":
			a.detail = value
		case "object":
			a.isError = string(value) == `"error"`
		case "code":
			a.code = value
		case "type":
			a.kind = value
		}
	})
	l.space()
	return a, ok && l.i == len(data)
}

// count gives the number of members of a list that has some.
func count(list []byte) (n int) {
	l := lexer{b: list}
	for l.take('['); l.skip(1); {
		n++
		if another, _ := l.more(']'); !another {
			break
		}
	}
	return n
}

// members calls f with each member of the object at i; the keys are as written.
func (l *lexer) members(f func(key, value []byte)) bool {
	if l.peek() != '{' || !l.enter(1) {
		return false
	}
	if l.peek() == '}' {
		l.i++
		return true
	}
	for {
		name, _, ok := l.key()
		start := l.i
		if !ok || !l.skip(1) {
			return false
		}
		f(name.of(l.b), l.b[start:l.i])
		if another, ok := l.more('}'); !another {
			return ok
		}
	}
}

func parseUsage(value []byte) (u Usage) {
	if value == nil {
		return u
	}
	l := lexer{b: value}
	l.members(func(key, value []byte) {
		var tokens *int64
		switch string(key) {
		case "prompt_tokens":
			tokens = &u.PromptTokens
		case "completion_tokens":
			tokens = &u.CompletionTokens
		}
		if tokens == nil || value[0] == 'n' {
			return
		}
		n, ok := wholeNumber(value)
		*tokens, u.Known, u.impossible = n, true, u.impossible || !ok
	})
	return u
}

// ReadTokens reads a usage object in the words of the Responses and Messages APIs. What the latter counts as read from a cache, or written to it, is
// part of the prompt.
func ReadTokens(value []byte) (u Usage) {
	l := lexer{b: value}
	l.members(func(key, value []byte) {
		var tokens *int64
		switch string(key) {
		case "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens":
			tokens = &u.PromptTokens
		case "output_tokens":
			tokens = &u.CompletionTokens
		}
		if tokens == nil || value[0] == 'n' {
			return
		}
		n, ok := wholeNumber(value)
		*tokens += n
		u.Known, u.impossible = true, u.impossible || !ok
	})
	return u
}

// Later gives what of two readings of one answer holds: counts only grow.
func (u Usage) Later(v Usage) Usage {
	return Usage{
		PromptTokens: max(u.PromptTokens, v.PromptTokens), CompletionTokens: max(u.CompletionTokens, v.CompletionTokens),
		Known: u.Known || v.Known, impossible: u.impossible || v.impossible,
	}
}

// wholeNumber reads a whole number that is not negative.
func wholeNumber(value []byte) (n int64, ok bool) {
	for _, c := range value {
		if c < '0' || c > '9' || n > 1<<53 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(value) > 0
}

// lookAhead has, for a byte that may end one of the words usage" and error", how far the next place is where either could
// end (Horspool's search, for two words of one length).
var lookAhead = func() (t [256]uint8) {
	for i := range t {
		t[i] = uint8(wordLength)
	}
	for _, word := range []string{usageWord, errorWord} {
		for i := range wordLength - 1 {
			t[word[i]] = min(t[word[i]], uint8(wordLength-1-i))
		}
	}
	return t
}()

const (
	usageWord  = `usage"`
	errorWord  = `error"`
	wordLength = len(usageWord)
)

// remarkable reports whether data may have a member usage with a value, or anything about an error, and so needs a closer
// look. In the text of a string either word has a backslash before its closing quote, unless it is the whole string.
func remarkable(data []byte) bool {
	for i := wordLength; i < len(data); i += int(lookAhead[data[i]]) {
		if data[i] != '"' || data[i-wordLength] != '"' {
			continue
		}
		switch string(data[i-wordLength+1 : i+1]) {
		case errorWord:
			return true
		case usageWord:
			if valued(data, i+1) {
				return true
			}
		}
	}
	return false
}

// finished reports whether a chunk has a choice that says why it ended.
func finished(chunk []byte) bool {
	word := []byte(`"finish_reason"`)
	for at := 0; ; {
		i := bytes.Index(chunk[at:], word)
		if i < 0 {
			return false
		}
		if at += i + len(word); valued(chunk, at) {
			return true
		}
	}
}

// valued reports whether the member whose name ends before i has a value other than null.
func valued(data []byte, i int) bool {
	l := lexer{b: data, i: i}
	l.space()
	return l.take(':') && l.peek() != 'n'
}
