package openai

// AppendWithID appends data, one chunk of a stream as the engine has sent it, with id in the place of its own. What is no object, or
// has no id, is appended as it is.
func AppendWithID(dst, data []byte, id string) []byte {
	s, found := idOf(data)
	if !found {
		return appendLine(dst, data)
	}
	dst = appendLine(dst, data[:s.start])
	dst = AppendString(dst, id)
	return appendLine(dst, data[s.end:])
}

// idOf finds the value of the id at the top of an object.
func idOf(data []byte) (value span, found bool) {
	l := lexer{b: data}
	l.space()
	if !l.take('{') {
		return value, false
	}
	for {
		name, _, ok := l.key()
		if !ok {
			return value, false
		}
		value.start = l.i
		if !l.skip(1) {
			return value, false
		}
		if value.end = l.i; string(name.of(data)) == "id" {
			return value, true
		}
		if another, ok := l.more('}'); !another || !ok {
			return value, false
		}
	}
}

// appendLine appends JSON on one line: a line break in it stands between tokens, and would end a line of an event.
func appendLine(dst, text []byte) []byte {
	from := len(dst)
	dst = append(dst, text...)
	for i := from; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}
