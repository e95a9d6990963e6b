package openai

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
			l := lexer{b: data, i: i + 1}
			l.space()
			if l.take(':') && l.peek() != 'n' {
				return true
			}
		}
	}
	return false
}
