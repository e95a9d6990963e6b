package upstream

import (
	"bytes"
	"errors"
	"io"
	"time"
)

// body is how far the body of an answer has been read.
//
//	            ┌──────────────┐
//	  size ── payload ── crlf ─┘      chunked
//	   └── trailer ── done
//	payload ── done                   Content-Length; until the connection closes
type body struct {
	framing framing
	part    part
	left    int64 // of the payload, or of the chunk
	trailer int   // bytes of the trailer so far
	done    bool
}

type framing uint8

const (
	byLength framing = iota
	byChunks
	byClose
)

type part uint8

const (
	inSize part = iota
	inPayload
	inCRLF
	inTrailer
)

// maxSizeLine bounds the line with a chunk's size and its extensions, in bytes.
const maxSizeLine = 256

// frame says how the body ends, by RFC 9112 section 6.3.
func (c *Call) frame(method string) {
	c.body = body{}
	c.reusable = c.reusable && !c.broken
	switch {
	case method == "HEAD", c.status == 304:
		c.done = true
	case c.status == 204:
		c.done = true
		c.reusable = c.reusable && !c.chunked && c.length <= 0 // who announces a body here may also send it
	case c.chunked:
		c.framing, c.part = byChunks, inSize
	case c.length >= 0:
		c.framing, c.left, c.done = byLength, c.length, c.length == 0
	default:
		c.framing, c.reusable = byClose, false
	}
}

// Next gives the next bytes of the body, decoded, at most that many (0 or less: as many as one read brought), valid
// until the next call. It waits for one read at most that brings any, and gives all that this read brought. The error is
// io.EOF only after a clean end; io.ErrUnexpectedEOF, wrapped, if the answer was cut short; it comes again if asked again.
func (c *Call) Next(most int) ([]byte, error) { return c.NextBy(most, time.Time{}) }

// NextBy is Next that gives up at a moment, zero = never, with ErrNotYet, after which it may be called again.
func (c *Call) NextBy(most int, by time.Time) ([]byte, error) {
	c.by = by
	if c.err != nil {
		return nil, c.err
	}
	if c.conn == nil {
		return nil, errors.New("no answer to read")
	}
	data, err := c.next(most)
	if err == nil && len(data) > 0 {
		c.begun, c.still = true, false
		return data, nil
	}
	if err == ErrNotYet {
		c.still = true
		return nil, err
	}
	c.err = err
	if err != io.EOF {
		c.drop()
	}
	return nil, err
}

func (c *Call) next(most int) ([]byte, error) {
	if most <= 0 {
		most = len(c.conn.buf)
	}
	for {
		if cause := c.aborted(); cause != nil {
			return nil, cause
		}
		data, err := c.take(most)
		if err != nil || len(data) > 0 {
			return data, err
		}
		if c.done {
			return nil, io.EOF
		}
		c.await()
		c.conn.room()
		if err := c.fill(); err != nil {
			return nil, c.ended(err)
		}
	}
}

// ended makes the end of the connection the end of a body that has no other.
func (c *Call) ended(err error) error {
	if c.framing == byClose && err == io.EOF && c.aborted() == nil {
		c.done = true
		return io.EOF
	}
	return c.fault("reading the body of the answer", err)
}

// take gives up to most bytes of the body that are in the buffer.
func (c *Call) take(most int) ([]byte, error) {
	k := c.conn
	if c.framing == byChunks {
		return c.takeChunks(most)
	}
	n := min(k.w-k.r, most)
	if c.framing == byLength {
		n = int(min(int64(n), c.left))
		c.left -= int64(n)
		c.done = c.left == 0
	}
	data := k.buf[k.r : k.r+n]
	k.r += n
	return data, nil
}

// takeChunks moves the payloads of all chunks in the buffer together, over the framing between them.
func (c *Call) takeChunks(most int) ([]byte, error) {
	k := c.conn
	start := k.r
	end := start
	for k.r < k.w && !c.done {
		if c.part == inPayload {
			n := int(min(int64(min(k.w-k.r, most-(end-start))), c.left))
			if n == 0 {
				break
			}
			if end != k.r {
				copy(k.buf[end:], k.buf[k.r:k.r+n])
			}
			end, k.r, c.left = end+n, k.r+n, c.left-int64(n)
			if c.left == 0 {
				c.part = inCRLF
			}
			continue
		}
		whole, err := c.framingLine()
		if err != nil {
			if end > start { // what came before the fault was whole; the fault comes again
				break
			}
			return nil, err
		}
		if !whole {
			break
		}
	}
	return k.buf[start:end], nil
}

// framingLine takes one line of framing from the buffer; false if it is not whole yet.
func (c *Call) framingLine() (bool, error) {
	k := c.conn
	raw := k.buf[k.r:k.w]
	i := bytes.IndexByte(raw, '\n')
	limit := maxSizeLine
	switch c.part {
	case inCRLF:
		limit = 2
	case inTrailer:
		limit = c.client.cfg.HeadLimit - c.trailer
	}
	if i >= limit || i < 0 && len(raw) >= min(limit, len(k.buf)) {
		return false, &ProtocolError{Reason: "a line of the chunked framing is too long"}
	}
	if i < 0 {
		return false, nil
	}
	if i == 0 || raw[i-1] != '\r' {
		return false, &ProtocolError{Reason: "a line of the chunked framing does not end in CRLF"}
	}
	if err := c.framed(raw[:i-1]); err != nil {
		return false, err
	}
	k.r += i + 1
	return true, nil
}

// framed takes in a line of framing, without its CRLF.
func (c *Call) framed(line []byte) error {
	switch c.part {
	case inCRLF:
		if len(line) > 0 {
			return &ProtocolError{Reason: "a chunk is longer than its size"}
		}
		c.part = inSize
	case inSize:
		n, err := chunkSize(line)
		if err != nil {
			return err
		}
		c.left, c.part = n, inPayload
		if n == 0 {
			c.part = inTrailer
		}
	case inTrailer:
		c.trailer += len(line) + 2
		c.done = len(line) == 0
		if !c.done && (!isToken(line[:max(bytes.IndexByte(line, ':'), 0)]) || !isValue(line)) {
			return &ProtocolError{Reason: "a trailer line is malformed"}
		}
	}
	return nil
}

// chunkSize parses a size and skips the extensions after it.
func chunkSize(line []byte) (n int64, err error) {
	digits := 0
	for _, d := range line {
		var v byte
		switch {
		case d >= '0' && d <= '9':
			v = d - '0'
		case d|0x20 >= 'a' && d|0x20 <= 'f':
			v = d | 0x20 - 'a' + 10
		default:
			if digits > 0 && d == ';' && isValue(line) {
				return n, nil
			}
			return 0, &ProtocolError{Reason: "a chunk's size is malformed"}
		}
		if digits++; digits > 15 {
			return 0, &ProtocolError{Reason: "a chunk's size is too large"}
		}
		n = n<<4 | int64(v)
	}
	if digits == 0 {
		return 0, &ProtocolError{Reason: "a chunk has no size"}
	}
	return n, nil
}
