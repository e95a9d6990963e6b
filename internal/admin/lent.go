package admin

import (
	"errors"
	"net"
	"os"
	"time"
)

// Lend lends a listener to Serve: when that ends, the listener is its owner's again, who must call TakeBack. Whoever connects meanwhile waits for the
// next to accept.
func Lend(ln *net.TCPListener) net.Listener { return lent{ln} }

// TakeBack makes a listener that was lent accept again.
func TakeBack(ln *net.TCPListener) error { return ln.SetDeadline(time.Time{}) }

// lent is a listener that somebody else owns.
type lent struct{ *net.TCPListener }

// Accept is the listener's own, and says that it is closed where only the loan has ended.
func (l lent) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, net.ErrClosed
	}
	return conn, err
}

// Close ends Accept.
func (l lent) Close() error { return l.SetDeadline(time.Unix(1, 0)) }
