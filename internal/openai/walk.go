package openai

// Members calls f with each member of the object that value begins with: its decoded key, valid until f returns, and its value as it stands there.
// It stops where f says false. It is false if value is no object, is not valid JSON up to where it was read, or f has stopped it.
func Members(value []byte, f func(key, value []byte) bool) bool {
	l := lexer{b: value}
	l.space()
	if l.peek() != '{' || !l.enter(1) {
		return false
	}
	if l.peek() == '}' {
		return true
	}
	var scratch []byte
	for {
		name, escaped, ok := l.key()
		start := l.i
		if !ok || !l.skip(1) {
			return false
		}
		key := name.of(value)
		if escaped {
			scratch = appendDecoded(scratch[:0], key)
			key = scratch
		}
		if !f(key, value[start:l.i]) {
			return false
		}
		if another, ok := l.more('}'); !another {
			return ok
		}
	}
}

// Elements is Members for the elements of an array.
func Elements(value []byte, f func(element []byte) bool) bool {
	l := lexer{b: value}
	l.space()
	if l.peek() != '[' || !l.enter(1) {
		return false
	}
	if l.peek() == ']' {
		return true
	}
	for {
		start := l.i
		if !l.skip(1) || !f(value[start:l.i]) {
			return false
		}
		if another, ok := l.more(']'); !another {
			return ok
		}
	}
}

// Text gives what is between the quotes of the JSON string that value is, its escapes as they were written; false if it is none.
func Text(value []byte) (inside []byte, ok bool) {
	l := lexer{b: value}
	s, _, ok := l.text()
	if !ok || l.i != len(value) {
		return nil, false
	}
	return s.of(value), true
}

// Decode gives what the inside of a JSON string stands for. It shares memory with inside where that has no escapes.
func Decode(inside []byte) []byte {
	for _, c := range inside {
		if c == '\\' {
			return appendDecoded(make([]byte, 0, len(inside)), inside)
		}
	}
	return inside
}

// IsData reports whether the inside of a JSON string is a data: URL, also if it is written with escapes: media that no engine has to fetch.
func IsData(inside []byte) bool { return isData(inside) }
