package upstream

import (
	"errors"
	"fmt"
	"io"
)

// Errors of Do and Next, beside the cause given to Abort, io.EOF and io.ErrUnexpectedEOF.
var (
	ErrFirstByteTimeout = errors.New("the engine sent no first byte in time")
	ErrIdleTimeout      = errors.New("the engine fell silent")
	ErrDeadline         = errors.New("the exchange took too long")
)

// ErrNotYet is NextBy's: nothing has come by then. It ends nothing.
var ErrNotYet = errors.New("the engine has said nothing yet")

var errInUse = errors.New("the call is in use")

// DialError says that no connection could be made. Unless a pooled connection died before it, the engine has seen nothing of
// the request.
type DialError struct {
	Addr string
	Err  error
}

func (e *DialError) Error() string { return fmt.Sprintf("connecting to %s: %v", e.Addr, e.Err) }

func (e *DialError) Unwrap() error { return e.Err }

// ProtocolError says that the engine's answer is not HTTP/1.1 as we accept it, or that a Request is none.
type ProtocolError struct {
	Reason string
}

func (e *ProtocolError) Error() string { return "protocol error: " + e.Reason }

// cut says that an answer ended before its end. Its errors are io.ErrUnexpectedEOF, and the network's own if that had one.
func cut(where string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: %w", where, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("%s: %w: %w", where, io.ErrUnexpectedEOF, err)
}

// isTimeout asks for no more of an error than it needs: those of in-memory connections are no net.Error.
func isTimeout(err error) bool {
	var late interface{ Timeout() bool }
	return errors.As(err, &late) && late.Timeout()
}
