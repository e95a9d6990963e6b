package edge

import "bytes"

// HeadLimit bounds a request's head, in bytes: beyond it, 431. It is the server's ReadBufferSize.
const HeadLimit = 16 << 10

// strict reports whether the fields of a head can be read in one way only. fasthttp takes a line that ends in a bare LF, a name with a
// space, a value that goes on in the next line (obs-fold), and a body that is framed twice, for which servers and proxies have different
// ideas of what was said (RFC 9112, sections 2.2, 5.1, 5.2 and 6.3).
func strict(fields []byte) bool {
	sized, coded := false, false
	for len(fields) > 0 {
		end := bytes.IndexByte(fields, '\n')
		if end < 1 || fields[end-1] != '\r' {
			return false
		}
		line := fields[:end-1]
		fields = fields[end+1:]
		if len(line) == 0 {
			return len(fields) == 0 && !(sized && coded)
		}
		name := nameOf(line)
		switch {
		case name == 0:
			return false
		case name == len(contentLength) && bytes.EqualFold(line[:name], contentLength):
			sized = true
		case name == len(transferEncoding) && bytes.EqualFold(line[:name], transferEncoding):
			coded = true
			if !bytes.EqualFold(bytes.TrimSpace(line[name+1:]), chunked) {
				return false
			}
		}
	}
	return true
}

var (
	contentLength    = []byte("Content-Length")
	transferEncoding = []byte("Transfer-Encoding")
	chunked          = []byte("chunked")
)

// nameOf is the length of the name that a line begins with; 0 = it has none, or a space in it.
func nameOf(line []byte) int {
	for i, c := range line {
		switch c {
		case ':':
			return i
		case ' ', '\t':
			return 0
		}
	}
	return 0
}

// requestLine watches how the first line of a request ends, which fasthttp keeps from its handlers. Its end decides nothing, but who ends it in a
// bare LF means to be read in two ways. A request that was sent before the answer to the one before is not watched.
type requestLine struct {
	stage  lineStage
	last   byte
	empty  bool   // nothing of the line has come yet: empty lines before it are skipped
	buffer []byte // the reader's whole buffer
	got    int    // bytes read since the line began
}

type lineStage uint8

const (
	lineAwaited lineStage = iota // the next bytes to be read begin a request, if the reader's buffer is empty
	lineUnknown
	lineReading
	lineWhole
	lineBare // it ended in a bare LF
)

// awaited says that the next request may come.
func (l *requestLine) awaited() { l.stage = lineAwaited }

// begun says that a request has begun: with what had been read before, if nothing was read since awaited.
func (l *requestLine) begun() {
	if l.stage == lineAwaited {
		l.stage = lineUnknown
	}
}

// read is told what was read into b.
func (l *requestLine) read(b []byte, n int) {
	if l.stage == lineAwaited && n > 0 {
		l.stage, l.last, l.empty, l.got = lineUnknown, 0, true, 0
		if len(b) == HeadLimit { // the reader's whole buffer: it held nothing
			l.stage, l.buffer = lineReading, b
		}
	}
	l.got += n
	if l.stage != lineReading {
		return
	}
	for got := b[:n]; l.stage == lineReading && len(got) > 0; {
		end := bytes.IndexByte(got, '\n')
		if end < 0 {
			l.last, l.empty = got[len(got)-1], l.empty && len(got) == 1 && got[0] == '\r'
			return
		}
		if end > 0 {
			l.last = got[end-1]
		}
		switch blank := l.empty && (end == 0 || end == 1 && got[0] == '\r'); {
		case l.last != '\r':
			l.stage = lineBare
		case !blank:
			l.stage = lineWhole
		}
		l.last, got = 0, got[end+1:]
	}
}
