package openai

import (
	"bytes"
	"errors"
)

// Kind says what an event is.
type Kind uint8

// The kinds of events.
const (
	KindComment Kind = iota // no data: comments, blank lines, fields that say nothing by themselves
	KindChunk               // data; the first one of a stream carries its first token
	KindUsage               // a chunk with usage and without choices
	KindError               // an error of the engine, in any of its shapes
	KindDone                // [DONE]
)

// Event is one whole event. Raw and Data are valid until the next Feed, and Data until the next Next.
type Event struct {
	Kind Kind
	Raw  []byte // as it came, with the blank line that ends it
	Data []byte // the values of its data lines, joined by \n
}

// Done is the event that ends a complete stream. It must not be changed.
var Done = []byte("data: [DONE]\n\n")

// ErrEventTooLarge says that an event is longer than the scanner's limit.
var ErrEventTooLarge = errors.New("an event of the stream is too large")

const (
	defaultEventLimit = 32 << 20
	keptBuffers       = 64 << 10 // larger ones are not kept for the next stream
)

// Scanner cuts a stream of bytes into whole events. It finds the same events however the stream is cut into pieces, and
// the Raw bytes of all events, one after the other, are the stream without its unfinished end. The zero value is ready.
//
//	for sc.Feed(piece); sc.Next(); {
//		ev := sc.Event()
//	}
//	if err := sc.Err(); err != nil {
//
// Events are slices of the piece itself where it holds them whole; only an unfinished end is copied.
type Scanner struct {
	Limit int // of an event, in bytes; 0 = 32 MiB

	in        []byte // what is being scanned: the piece, or the carry
	carry     []byte // the unfinished event, with what came after it
	event     int    // where the event begins in in
	line      int    // where the line begins
	at        int    // up to here the line has no end
	ended     bool   // End was called
	begun     bool   // the first line has been read, and a byte order mark on it dropped
	cur       Event
	data      span   // of the first data line
	lines     int    // data lines in the event
	joined    []byte // the data of events with more than one
	fault     bool   // the event's type is error
	usage     Usage
	chunk     []byte // the data of the last chunk since the last Feed; nil = none
	last      []byte // that of the last chunk before
	usageCame bool   // in an event of its own
	closed    bool   // a last event without its blank line was looked for
	err       error
}

// Reset makes the scanner ready for another stream. It keeps its limit and buffers.
func (s *Scanner) Reset() {
	if cap(s.carry)+cap(s.joined)+cap(s.last) > keptBuffers {
		s.carry, s.joined, s.last = nil, nil, nil
	}
	*s = Scanner{Limit: s.Limit, carry: s.carry[:0], joined: s.joined[:0], last: s.last[:0]}
}

// Feed gives the next bytes. They must stay as they are until Next has said false.
func (s *Scanner) Feed(p []byte) {
	if len(s.carry) == 0 {
		s.in = p
		return
	}
	s.carry = append(s.carry, p...)
	s.in = s.carry
}

// End says that no more bytes come: a last event that ends in a bare \r, or in two, is then whole, and so is one without its blank line, if its data
// is. Call Next after it.
func (s *Scanner) End() { s.ended = true }

// Event is the event that Next moved to.
func (s *Scanner) Event() Event { return s.cur }

// Err is ErrEventTooLarge or nil.
func (s *Scanner) Err() error { return s.err }

// Buffered is the number of bytes of the event that is not whole yet, valid after Next has said false.
func (s *Scanner) Buffered() int { return len(s.carry) }

// Finished reports whether the stream, up to here, is a whole answer though it has no [DONE]: its last chunk says why it ended, or the usage
// that comes behind has come. It is valid after Next has said false.
func (s *Scanner) Finished() bool { return s.usageCame || finished(s.last) }

// Usage is the last usage that the stream has told.
func (s *Scanner) Usage() Usage { return s.usage }

// Next moves to the next whole event. It is false when more bytes are needed, and for ever after an error.
func (s *Scanner) Next() bool {
	for s.err == nil {
		end, next := s.lineEnd()
		if end < 0 {
			s.keep()
			if !s.ended || s.closed || s.err != nil {
				return false
			}
			if s.closed = true; !complete(s.in) {
				return false
			}
			if !bytes.HasSuffix(s.carry, []byte{'\n'}) {
				s.carry = append(s.carry, '\n')
			}
			s.carry = append(s.carry, '\n')
			s.in, s.at = s.carry, s.line
			continue
		}
		if !s.begun {
			s.begun = true
			s.dropMark()
		}
		line := s.in[s.line:end]
		s.line, s.at = next, next
		if len(line) == 0 {
			return s.finish(next)
		}
		s.field(line, end)
	}
	return false
}

// lineEnd finds where the line ends and the next one begins, or gives -1. A \r that is the last byte may be half a \r\n.
func (s *Scanner) lineEnd() (end, next int) {
	rest := s.in[s.at:]
	n := bytes.IndexByte(rest, '\n')
	before := rest
	if n >= 0 {
		before = rest[:n]
	}
	r := bytes.IndexByte(before, '\r')
	switch {
	case r < 0 && n < 0:
		s.at = len(s.in)
		return -1, -1
	case r < 0:
		return s.at + n, s.at + n + 1
	case r+1 == n:
		return s.at + r, s.at + n + 1
	case r+1 < len(rest) || s.ended:
		return s.at + r, s.at + r + 1
	}
	s.at += r
	return -1, -1
}

// dropMark leaves a byte order mark out of the first event: bytes that we put before it would make it part of a field's name.
func (s *Scanner) dropMark() {
	if bytes.HasPrefix(s.in[s.line:], []byte(mark)) {
		s.line += len(mark)
		s.event += len(mark)
	}
}

// field takes in a line that is not blank and ends at end.
func (s *Scanner) field(line []byte, end int) {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(name) {
	case "event":
		s.fault = string(value) == "error"
	case "data":
		s.lines++
		switch s.lines {
		case 1:
			s.data = span{end - len(value), end}
			return
		case 2:
			s.joined = append(s.joined[:0], s.data.of(s.in)...)
		}
		s.joined = append(append(s.joined, '\n'), value...)
	}
}

// finish makes the bytes up to end the current event.
func (s *Scanner) finish(end int) bool {
	s.cur = Event{Raw: s.in[s.event:end]}
	if len(s.cur.Raw) > s.limit() {
		s.err = ErrEventTooLarge
		return false
	}
	switch s.lines {
	case 0:
	case 1:
		s.cur.Data = s.data.of(s.in)
	default:
		s.cur.Data = s.joined
	}
	if s.lines > 0 {
		s.cur.Kind = s.classify(s.cur.Data)
	}
	if s.cur.Kind == KindChunk {
		s.chunk = s.cur.Data
	}
	s.event, s.lines, s.fault = end, 0, false
	return true
}

func (s *Scanner) limit() int {
	if s.Limit > 0 {
		return s.Limit
	}
	return defaultEventLimit
}

// classify looks into data only if it has a word that matters, so that a plain chunk costs one search.
func (s *Scanner) classify(data []byte) Kind {
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		return KindDone
	}
	if s.fault {
		return KindError
	}
	if !remarkable(data) {
		return KindChunk
	}
	a, _ := glance(data)
	if u := parseUsage(a.usage); u.Known {
		s.usage = u
	}
	switch {
	case a.fault != nil || a.isError:
		return KindError
	case a.usage != nil && !a.some:
		s.usageCame = true
		return KindUsage
	}
	return KindChunk
}

// complete reports whether the last line of an event that has no blank line is data that is whole.
func complete(event []byte) bool {
	event = bytes.TrimRight(event, "\r\n")
	line := event[bytes.LastIndexAny(event, "\r\n")+1:]
	value, is := bytes.CutPrefix(line, []byte("data:"))
	if !is {
		return false
	}
	value = bytes.TrimSpace(value)
	_, whole := glance(value)
	return whole || string(value) == "[DONE]"
}

// keep carries the unfinished event over to the next Feed.
func (s *Scanner) keep() {
	if s.chunk != nil {
		s.last, s.chunk = append(s.last[:0], s.chunk...), nil
	}
	rest := s.in[s.event:]
	if len(rest) > s.limit() {
		s.err = ErrEventTooLarge
		return
	}
	if s.event > 0 || len(s.carry) == 0 { // else it lies there already: moving a long event with each piece of it would take for ever
		s.carry = append(s.carry[:0], rest...) // rest may be the end of carry itself: append moves it down
	}
	s.in = s.carry
	s.line, s.at = s.line-s.event, s.at-s.event
	s.data = span{s.data.start - s.event, s.data.end - s.event}
	s.event = 0
}
