package openai

// part is what matters of one part of a message. Of a text, engines read nothing but that: what beside it names a page, as frameworks
// send back with citations, is then no media.
type part struct {
	types  int    // how many members are its type
	text   bool   // the last of them says text
	remote string // the path of its url, if that is no data: URL
}

// partMember scans the value of a member of a part.
func (in *inspector) partMember(p *part, is partKey, holds place, depth int) bool {
	start := in.i
	switch {
	case is == keyURL && in.peek() == '"':
		s, _, ok := in.text()
		if ok && !isData(s.of(in.b)) && !in.has(RemoteMedia) {
			p.remote = in.at()
		}
		return ok
	case !in.value(holds, depth):
		return false
	case is == keyType:
		p.types++
		p.text = string(in.b[start:in.i]) == `"text"`
	case is == keyText && in.b[start] == '"':
		in.read(in.b[start:in.i])
	}
	return true
}

// endPart notes the url of a part that is no text.
func (in *inspector) endPart(p *part) {
	if p.remote != "" && !(p.text && p.types == 1) && !in.has(RemoteMedia) {
		in.note(Finding{Name: RemoteMedia, Path: p.remote})
	}
}

// partKey is the key of a member of a part, as far as it matters.
type partKey uint8

const (
	keyOther partKey = iota
	keyType
	keyURL
	keyText
)

func partKeyOf(key []byte) partKey {
	switch string(key) {
	case "type":
		return keyType
	case "url":
		return keyURL
	case "text":
		return keyText
	}
	return keyOther
}
