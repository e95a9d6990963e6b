package slot

import (
	"bufio"
	"crypto/tls"
	"net"

	"github.com/pilotlight-io/pilotlight/internal/certs"
)

// tlsOf gives what a side of the API speaks where the key is this one. Whoever listens on the way learns nothing, and whoever stands in it is neither side.
func tlsOf(key string) (*tls.Config, error) { return certs.ByKey(key, "slot") }

// either accepts TLS and, for Consul's look at /healthz and for servers of before there was TLS here, plain HTTP.
type either struct {
	net.Listener
	tls *tls.Config
}

// Accept does not wait for what a connection begins with: its first read does, under that read's deadline.
func (e either) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &undecided{Conn: c, tls: e.tls}, nil
}

// undecided is a connection of which it is not known yet whether it speaks TLS. Only its server's goroutine reads and writes it before it is.
type undecided struct {
	net.Conn
	tls     *tls.Config
	decided net.Conn // nil = it is not
}

const tlsHandshake = 0x16 // the first byte of a TLS connection

func (u *undecided) Read(b []byte) (int, error) {
	if u.decided == nil {
		first := &begun{Conn: u.Conn, r: bufio.NewReaderSize(u.Conn, 4<<10)}
		head, err := first.r.Peek(1)
		if err != nil {
			return 0, err
		}
		if u.decided = first; head[0] == tlsHandshake {
			u.decided = tls.Server(first, u.tls)
		}
	}
	return u.decided.Read(b)
}

func (u *undecided) Write(b []byte) (int, error) {
	if u.decided == nil {
		return u.Conn.Write(b)
	}
	return u.decided.Write(b)
}

// begun is a connection whose first bytes have been read.
type begun struct {
	net.Conn
	r *bufio.Reader
}

func (b *begun) Read(to []byte) (int, error) { return b.r.Read(to) }
