package upstream

import (
	"bytes"
	"strconv"
)

// head is what the head of an answer says.
type head struct {
	status   int
	length   int64 // -1 = not said
	chunked  bool
	reusable bool // the connection may serve another exchange
	old      bool // HTTP/1.0
	encoded  bool // the body has a Content-Encoding
}

// readHead reads the head of the final answer, over those of interim ones (1xx).
func (c *Call) readHead(method string) error {
	used := 0
	for {
		n, err := c.wholeHead(c.client.cfg.HeadLimit - used)
		if err != nil {
			return err
		}
		k := c.conn
		used += n
		raw := k.buf[k.r : k.r+n-2] // without the blank line
		if err := c.parseHead(raw); err != nil {
			return err
		}
		k.r += n
		if c.status >= 200 {
			break
		}
		if c.status == 101 {
			return &ProtocolError{Reason: "the answer switches protocols"}
		}
	}
	c.frame(method)
	return nil
}

// wholeHead reads until the buffer holds a whole head, and gives its length with the blank line.
func (c *Call) wholeHead(limit int) (int, error) {
	k := c.conn
	line, at := 0, 0 // offsets from k.r: where the line begins, and up to where it has no end
	for {
		raw := k.buf[k.r:k.w]
		for {
			i := bytes.IndexByte(raw[at:], '\n')
			if i < 0 {
				at = len(raw)
				break
			}
			end := at + i
			switch {
			case end > limit:
				return 0, &ProtocolError{Reason: "the head is too long"}
			case end == 0 || raw[end-1] != '\r':
				return 0, &ProtocolError{Reason: "a line of the head does not end in CRLF"}
			case line == 0 && !bytes.HasPrefix(raw, []byte("HTTP/1.")):
				return 0, &ProtocolError{Reason: "the answer is not HTTP/1"}
			case end-1 == line:
				return end + 1, nil
			}
			line, at = end+1, end+1
		}
		if len(raw) > limit || !k.grow(c.client.cfg.HeadLimit) {
			return 0, &ProtocolError{Reason: "the head is too long"}
		}
		k.room()
		if err := c.fill(); err != nil {
			return 0, c.fault("reading the head of the answer", err)
		}
	}
}

// parseHead parses the status line and the header lines, each of which ends in CRLF.
func (c *Call) parseHead(raw []byte) error {
	c.head = head{length: -1, reusable: true}
	c.contentType = c.contentType[:0]
	for first := true; len(raw) > 0; first = false {
		end := bytes.IndexByte(raw, '\n')
		line := raw[:end-1]
		raw = raw[end+1:]
		var err error
		if first {
			err = c.parseStatus(line)
		} else {
			err = c.parseField(line)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case c.chunked && c.length >= 0:
		return &ProtocolError{Reason: "the answer has both Content-Length and Transfer-Encoding"}
	case c.chunked && c.old:
		return &ProtocolError{Reason: "Transfer-Encoding in HTTP/1.0"}
	}
	return nil
}

// parseStatus parses "HTTP/1.1 200 OK"; the reason may be missing.
func (c *Call) parseStatus(line []byte) error {
	if len(line) < 12 || line[7] != '0' && line[7] != '1' || line[8] != ' ' || len(line) > 12 && line[12] != ' ' || !isValue(line) {
		return &ProtocolError{Reason: "the status line is malformed"}
	}
	for _, d := range line[9:12] {
		if d < '0' || d > '9' {
			return &ProtocolError{Reason: "the status is not a number"}
		}
		c.status = c.status*10 + int(d-'0')
	}
	if c.status < 100 {
		return &ProtocolError{Reason: "the status is below 100"}
	}
	if c.old = line[7] == '0'; c.old {
		c.reusable = false
	}
	return nil
}

func (c *Call) parseField(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 || !isToken(line[:colon]) || !isValue(line[colon:]) { // a folded line begins with a space: no token
		return &ProtocolError{Reason: "a header line is malformed"}
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	switch {
	case is(name, "content-length"):
		return c.parseLength(value)
	case is(name, "transfer-encoding"):
		if c.chunked || !is(value, "chunked") {
			return &ProtocolError{Reason: "a Transfer-Encoding other than chunked"}
		}
		c.chunked = true
	case is(name, "connection"):
		for token := range bytes.SplitSeq(value, []byte{','}) {
			if is(bytes.Trim(token, " \t"), "close") {
				c.reusable = false
			}
		}
	case is(name, "content-encoding"):
		c.encoded = len(value) > 0 && !is(value, "identity")
	case is(name, "content-type"):
		c.contentType = append(c.contentType[:0], value...)
	}
	return nil
}

// is compares without regard to the case of ASCII letters; want is in lower case.
func is(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

func (c *Call) parseLength(value []byte) error {
	for _, d := range value {
		if d < '0' || d > '9' {
			return &ProtocolError{Reason: "the Content-Length is not a number"}
		}
	}
	n, err := strconv.ParseInt(string(value), 10, 63)
	if err != nil {
		return &ProtocolError{Reason: "the Content-Length is not a number"}
	}
	if c.length >= 0 {
		return &ProtocolError{Reason: "more than one Content-Length"}
	}
	c.length = n
	return nil
}
