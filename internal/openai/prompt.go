package openai

import "bytes"

const (
	// longestToken bounds what one token stands for, in bytes of text that is no white space. The longest of known vocabularies are runs
	// of 128 characters.
	longestToken = 256
	// shortText is not looked at: it is a few tokens at least.
	shortText = 4 << 10
)

// read adds the inside of a JSON string to the chat's one prompt.
func (in *inspector) read(raw []byte) { in.words += leastBytes(raw) }

// leastBytes is how many bytes of a text are certain to be read: templates trim white space, and some tokenizers fold it. Of what is
// escaped nothing is certain.
func leastBytes(raw []byte) int {
	if len(raw) < shortText {
		return 0
	}
	return max(len(raw)-bytes.Count(raw, []byte{' '})-maxEscape*bytes.Count(raw, []byte{'\\'}), 0)
}

// prompts scans a text, tokens, or a list of either.
func (in *inspector) prompts(depth int) bool {
	switch in.peek() {
	case '"':
		s, _, ok := in.text()
		in.longest(leastBytes(s.of(in.b)) / longestToken)
		return ok
	case '[':
	default:
		return in.skip(depth)
	}
	if !in.enter(depth + 1) {
		return false
	}
	if in.peek() == ']' {
		in.i++
		return true
	}
	tokens := 0
	for {
		if c := in.peek(); c >= '0' && c <= '9' {
			tokens++
		}
		if !in.prompts(depth + 1) {
			return false
		}
		if another, ok := in.more(']'); !another {
			in.longest(tokens)
			return ok
		}
	}
}

func (in *inspector) longest(tokens int) { in.f.LeastPrompt = max(in.f.LeastPrompt, tokens) }
