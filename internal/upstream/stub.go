package upstream

import (
	"context"
	"errors"
	"net"
	"time"
)

// Config of a Client.
type Config struct {
	DialTimeout     time.Duration // of one connection, with its turn to dial; 0 = 3 s
	IdleConn        time.Duration // an unused connection is closed after it; 0 = 4 s (engines close at 5 s)
	MaxIdlePerHost  int           // 0 = 256
	MaxDialsPerHost int           // dials under way at once, so that a herd does not overflow an engine's backlog; 0 = 64
	Dial            func(ctx context.Context, network, addr string) (net.Conn, error) // nil: TCP
}

// Client holds the idle connections to engines. It is safe for use by many goroutines.
type Client struct{}

// New gives a client. It starts nothing.
func New(cfg Config) *Client { panic("unfinished") }

// Close closes the idle connections. Exchanges under way go on; theirs are closed at their end.
func (c *Client) Close() {}

// Request is one request to an engine.
type Request struct {
	Method      string
	Addr        string // host:port
	Path        string
	ContentType string        // "" = none
	Header      []byte        // more header lines, each ending in \r\n
	Body        [][]byte      // sent one after the other; not changed
	FirstByte   time.Duration // dispatch to the first byte of the body, also covering the head; 0 = no limit
	Idle        time.Duration // silence between two bytes of the body; 0 = no limit
	Deadline    time.Time     // of the whole exchange; zero = none
}

// Call is one exchange. The zero value is ready. Only Abort may be called while another method runs.
type Call struct{}

// Errors of Do and Next, beside the cause given to Abort, io.EOF and io.ErrUnexpectedEOF.
var (
	ErrFirstByteTimeout = errors.New("the engine sent no first byte in time")
	ErrIdleTimeout      = errors.New("the engine fell silent")
	ErrDeadline         = errors.New("the exchange took too long")
)

// DialError says that no connection could be made: the engine has seen nothing of the request.
type DialError struct {
	Addr string
	Err  error
}

// ProtocolError says that the engine's answer is not HTTP/1.1 as we accept it.
type ProtocolError struct {
	Reason string
}

func (e *DialError) Error() string     { return "" }
func (e *ProtocolError) Error() string { return "" }

// Do sends the request and returns when the head of the answer has been read.
func (c *Client) Do(call *Call, r *Request) error { panic("unfinished") }

// Status of the answer.
func (c *Call) Status() int { panic("unfinished") }

// ContentType of the answer.
func (c *Call) ContentType() []byte { panic("unfinished") }

// ContentLength of the answer, -1 if it was not said.
func (c *Call) ContentLength() int64 { panic("unfinished") }

// Dispatched is the moment the head was written; zero if it was not.
func (c *Call) Dispatched() time.Time { panic("unfinished") }

// Next gives the next bytes of the body, at most max (0: as many as there are), valid until the next call.
func (c *Call) Next(max int) ([]byte, error) { panic("unfinished") }

// Abort ends the exchange: Do and Next return cause. Idempotent; the first cause stays. A Call stays aborted until Reset.
func (c *Call) Abort(cause error) { panic("unfinished") }

// Close ends the exchange. Idempotent. Do may be called again after it (a retry): an abort in between is not lost.
func (c *Call) Close() { panic("unfinished") }

// Reset makes a closed Call ready for another request. Nobody else may call Abort for the old one any more.
func (c *Call) Reset() { panic("unfinished") }
