package openai

import "bytes"

// Usage counts tokens as the engine did.
type Usage struct {
	PromptTokens, CompletionTokens int64
	Known                          bool // the engine has said so
}

// BodyUsage reads the usage of a complete JSON answer. An answer without one, or that is not JSON, gives a Usage that is not Known.
func BodyUsage(body []byte) Usage {
	a, _ := glance(body)
	return parseUsage(a.usage)
}

// answer is what the top level of an answer or chunk says.
type answer struct {
	usage     []byte // value of usage, nil if absent or null
	fault     []byte // value of error, nil if absent or null
	message   []byte // value of message
	detail    []byte // value of detail
	isError   bool   // object is "error"
	noChoices bool   // choices is []
}

// glance reads the top level of an answer and skips the rest. It is false if data is no JSON object; a is then what was read so far.
func glance(data []byte) (a answer, ok bool) {
	l := lexer{b: data}
	l.space()
	ok = l.members(func(key, value []byte) {
		null := value[0] == 'n'
		switch string(key) {
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
		case "choices":
			in := lexer{b: value}
			a.noChoices = in.take('[') && in.peek() == ']'
		}
	})
	return a, ok
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
		n, ok := count(value)
		switch {
		case !ok:
		case string(key) == "prompt_tokens":
			u.PromptTokens, u.Known = n, true
		case string(key) == "completion_tokens":
			u.CompletionTokens, u.Known = n, true
		}
	})
	return u
}

// count reads a whole number that is not negative.
func count(value []byte) (n int64, ok bool) {
	for _, c := range value {
		if c < '0' || c > '9' || n > 1<<53 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(value) > 0
}

var (
	usageWord = []byte(`usage"`)
	errorWord = []byte(`error"`)
)

// saysUsage reports whether data may have a member usage with a value, cheaply: in the text of a string the word could
// only stand with a backslash before its closing quote, unless it is the whole string, and then no colon follows.
func saysUsage(data []byte) bool {
	for {
		i := bytes.Index(data, usageWord)
		if i < 0 {
			return false
		}
		l := lexer{b: data, i: i + len(usageWord)}
		l.space()
		if i > 0 && data[i-1] == '"' && l.take(':') && l.peek() != 'n' {
			return true
		}
		data = data[i+len(usageWord):]
	}
}
