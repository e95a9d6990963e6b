package openai

import (
	"bytes"
	"strconv"
	"strings"
)

// maxPathKey bounds how much of a caller's key is said in a path, in bytes.
const maxPathKey = 64

// place is where the scan is, as far as it matters for what a member may hold.
type place uint8

const (
	elsewhere    place = iota
	inMessages         // the value of messages, and the messages
	inContent          // anywhere under the content of a message, or under input
	inMedia            // the value of a member that names media
	inTemplating       // the value of chat_template_kwargs
)

// step is one part of the path to where the scan is.
type step struct {
	key   span
	index int // of an element; -1 = the key of a member
}

// found notes a finding whose value begins at start, unless that value is null or false: it then asks for nothing. The
// first of each name is enough, and keeps a body full of findings from becoming a list as long.
func (in *inspector) found(name string, start int) {
	if start >= len(in.b) || in.b[start] == 'n' || in.b[start] == 'f' {
		return
	}
	for i := range in.f.Findings {
		if in.f.Findings[i].Name == name {
			return
		}
	}
	in.f.Findings = append(in.f.Findings, Finding{Name: name, Path: in.at()})
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
	if where == elsewhere {
		return in.skip(depth)
	}
	switch in.peek() {
	case '{':
		return in.object(where, depth+1)
	case '[':
		return in.array(where, depth+1)
	case '"':
		s, _, ok := in.text()
		if ok && where == inMedia && !isData(s.of(in.b)) {
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
	top := len(in.f.path)
	for {
		name, escaped, ok := in.key()
		if !ok {
			return false
		}
		in.f.path = append(in.f.path[:top], step{key: name, index: -1})
		inner, control := within(where, in.decode(name, escaped))
		if control != "" {
			in.found(control, in.i)
		}
		if !in.value(inner, depth) {
			return false
		}
		if another, ok := in.more('}'); !another {
			return ok
		}
	}
}

// within says where the value of a member stands, and the name of the finding that the member itself is, if it is one.
func within(where place, key []byte) (inner place, control string) {
	switch where {
	case inMessages:
		if string(key) == "content" {
			return inContent, ""
		}
	case inContent, inMedia:
		if mediaKey(key) {
			return inMedia, ""
		}
		return inContent, tensorKey(key)
	case inTemplating:
		return elsewhere, templateControl(key)
	}
	return elsewhere, ""
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
