package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errSilent ends a connection whose server says nothing.
var errSilent = errors.New("it does not answer")

// impatient makes connections that are given up when the other side says nothing, or takes nothing, for so long: a server that is stopped or cut off
// keeps a connection open for hours. A server that works gives up a statement before (limits).
func impatient(dial pgconn.DialFunc, most time.Duration) pgconn.DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &impatientConn{Conn: conn, most: most}, nil
	}
}

// impatientConn keeps to the deadlines that its user sets, too: the driver interrupts a statement by one that is past.
type impatientConn struct {
	net.Conn
	most time.Duration

	mu          sync.Mutex // guards the deadlines, here and of Conn
	read, write time.Time  // of the user
}

func (c *impatientConn) Read(b []byte) (int, error) {
	own := c.bound(&c.read, c.Conn.SetReadDeadline)
	n, err := c.Conn.Read(b)
	return n, c.explain(err, own)
}

func (c *impatientConn) Write(b []byte) (int, error) {
	own := c.bound(&c.write, c.Conn.SetWriteDeadline)
	n, err := c.Conn.Write(b)
	return n, c.explain(err, own)
}

// bound sets the deadline of the next read or write, and gives it.
func (c *impatientConn) bound(user *time.Time, set func(time.Time) error) (own time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own = time.Now().Add(c.most)
	if !user.IsZero() && user.Before(own) {
		_ = set(*user) // what fails here fails in the read or write
		return own
	}
	_ = set(own)
	return own
}

// explain tells our own deadline from one of the user: to the driver, the latter leaves a connection that can go on.
func (c *impatientConn) explain(err error, own time.Time) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(own) {
		return fmt.Errorf("%w for %s", errSilent, c.most)
	}
	return err
}

func (c *impatientConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *impatientConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	return c.Conn.SetReadDeadline(t)
}

func (c *impatientConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}
