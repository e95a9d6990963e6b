package edge

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/socket"
)

// Secure reports whether a request has come over TLS. fasthttp's own IsTLS does not know our connections.
func Secure(ctx *fasthttp.RequestCtx) bool {
	c := Of(ctx)
	return c != nil && c.secure
}

// secured gives the TLS connection over an accepted one. Its handshake is made by the first read, in the connection's own goroutine and under that
// read's deadline; what leaves the connection is told by the socket below it, as of any other.
func secured(c net.Conn, config *tls.Config) net.Conn {
	return tls.Server(&ciphered{Conn: c, sock: socket.Of(c)}, config)
}

// ciphered is what a TLS connection reads and writes. Handshakes, answers to key updates and alerts are written from within reads, so that the bound
// on writes has to stand here, below TLS. TLS reads with one goroutine and writes with one, as socket.Socket wants it.
type ciphered struct {
	net.Conn
	sock *socket.Socket

	// Guarded by the lock that TLS writes under.
	writeBy time.Time
	closing bool // TLS has set a deadline of its own, for its last words
}

func (c *ciphered) Read(b []byte) (int, error) { return c.sock.Read(b) }

func (c *ciphered) Write(b []byte) (int, error) {
	if now := time.Now(); !c.closing && c.writeBy.Sub(now) < writePatience/2 {
		c.writeBy = now.Add(writePatience)
		if err := c.Conn.SetWriteDeadline(c.writeBy); err != nil {
			return 0, err
		}
	}
	return c.sock.Write(b)
}

// SetWriteDeadline is called by TLS alone, before and after its last words.
func (c *ciphered) SetWriteDeadline(t time.Time) error {
	c.closing = true
	return c.Conn.SetWriteDeadline(t)
}

const plainAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 155\r\n\r\n" +
	`{"error":{"message":"This port speaks TLS. Write https:// in front of its address.","type":"invalid_request_error","param":null,"code":"invalid_request"}}` + "\n"

// answerPlain answers a caller that speaks HTTP without TLS, and reports whether it is one. Its connection goes on without TLS, to be closed.
func (c *Conn) answerPlain(err error) bool {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || record.Conn == nil {
		return false
	}
	switch string(record.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET":
	default:
		return false
	}
	c.Conn, c.sock, c.secure = c.raw, socket.Of(c.raw), false
	_, _ = io.WriteString(c, plainAnswer)
	c.Linger()
	return true
}
