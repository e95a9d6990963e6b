package openai

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxPathKey bounds how much of a caller's key is said in a path, in bytes.
	maxPathKey = 64
	// maxFindings bounds the findings of one body, and with it what is kept of a body full of them.
	maxFindings = 64
)

// RemoteMedia is the name of findings that are media to be fetched by the engine: anything but a data: URL, since engines
// also take other strings for paths of their own files.
const RemoteMedia = "remote_media"

// Finding is a part of a request that not every engine may receive.
type Finding struct {
	Name string // what a model's allow list calls it: the field's name, or RemoteMedia
	Path string // where it stands, such as "messages[0].content[1].image_url.url"

	takes  kinds
	drop   bool   // it is dropped for engines that it does not pass to, not refused
	row    *field // of a field that has one
	member member // where it stands, of a field at the top
}

// passes reports whether the engine is to receive it.
func (f *Finding) passes(kind kinds, allow []string) bool {
	return f.takes&kind != 0 || slices.Contains(allow, f.Name)
}

// member is where a member of the top-level object stands.
type member struct {
	index  int // among all members
	before int // the end of the member before it
	key    int // its beginning
	value  span
	next   int // the beginning of the next one; 0 = it is the last
}

// place is where the scan is, as far as it matters for what a member may hold.
type place uint8

const (
	elsewhere       place = iota
	inMessages            // the value of messages, and the messages
	inParts               // the content of a message, and its parts
	inMedia               // the value of a member that names media
	inItems               // the value of input, and its items
	inTools               // the value of tools, and the tools
	inTemplate            // the value of chat_template_kwargs
	inStreamOptions       // the value of stream_options
	inPrompts             // a prompt, or several
	inFormat              // the value of response_format
)

// step is one part of the path to where the scan is.
type step struct {
	key   span
	index int // of an element; -1 = the key of a member
}

// found notes a finding below the top, unless its value, which begins at start, is null or false: it then asks for nothing. The
// first of each name is enough.
func (in *inspector) found(name string, start int) {
	if !in.asksNothing(start) && !in.has(name) {
		in.note(Finding{Name: name, Path: in.at()})
	}
}

// has reports whether there is a finding of that name below the top.
func (in *inspector) has(name string) bool {
	for i := range in.f.findings {
		if found := &in.f.findings[i]; found.Name == name && found.row == nil && !found.drop {
			return true
		}
	}
	return false
}

// foundField notes a member at the top that not every engine takes: that of a row, or of none. Where it asks for nothing it is dropped.
func (in *inspector) foundField(row *field, key []byte, m member) {
	found := Finding{row: row, member: m, drop: in.asksNothing(m.value.start)}
	if row != nil {
		found.Name, found.Path, found.takes = row.name, row.name, row.takes
	} else {
		found.Name, found.Path = name(key), in.at()
	}
	in.note(found)
}

// followed says that another member begins at i after m.
func (in *inspector) followed(m member) {
	if n := len(in.f.findings); n > 0 && in.f.findings[n-1].member.key == m.key {
		in.f.findings[n-1].member.next = in.i
	}
}

func (in *inspector) note(found Finding) {
	if len(in.f.findings) < maxFindings {
		in.f.findings = append(in.f.findings, found)
		return
	}
	in.crowded = true
}

// settle decides, when all fields are known, which of them are inert.
func (in *inspector) settle() {
	for i := range in.f.findings {
		found := &in.f.findings[i]
		if found.row != nil && found.row.inert != nil && found.row.inert(in.f, found.member.value.of(in.b)) {
			found.drop = true
		}
	}
}

func (in *inspector) asksNothing(start int) bool {
	return start < len(in.b) && (in.b[start] == 'n' || in.b[start] == 'f')
}

// name is a key as the name of a finding. One that is too long for a field's name is nobody's.
func name(key []byte) string {
	if len(key) > maxPathKey {
		return ""
	}
	return string(key)
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
	switch where {
	case elsewhere:
		return in.skip(depth)
	case inPrompts:
		return in.prompts(depth)
	case inFormat:
		return in.format(depth)
	}
	switch in.peek() {
	case '{':
		return in.object(where, depth+1)
	case '[':
		return in.array(where, depth+1)
	case '"':
		s, _, ok := in.text()
		switch {
		case !ok:
		case where == inParts:
			in.read(s.of(in.b))
		case where == inMedia && !isData(s.of(in.b)):
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
	top, fields := len(in.f.path), objects[where]
	var p part
	for {
		key, escaped, ok := in.key()
		if !ok {
			return false
		}
		in.f.path = append(in.f.path[:top], step{key: key, index: -1})
		inner := elsewhere
		word := in.decode(key, escaped)
		if row := fields[string(word)]; row != nil {
			inner = row.holds
		} else {
			in.found(name(word), in.i)
		}
		if where == inParts {
			ok = in.partMember(&p, partKeyOf(word), inner, depth)
		} else {
			ok = in.value(inner, depth)
		}
		if !ok {
			return false
		}
		if another, ok := in.more('}'); !another {
			in.endPart(&p)
			return ok
		}
	}
}

// isData reports whether the inside of a JSON string is a data: URL, also if it is written with escapes.
func isData(raw []byte) bool {
	const scheme = "data:"
	if bytes.HasPrefix(raw, []byte(scheme)) {
		return true
	}
	if len(raw) == 0 || raw[0] != '\\' && !bytes.Contains(raw[:min(len(raw), maxEscape*len(scheme))], []byte{'\\'}) {
		return false
	}
	var decoded [64]byte
	return bytes.HasPrefix(appendDecoded(decoded[:0], raw[:wholeEscapes(raw, maxEscape*len(scheme))]), []byte(scheme))
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
