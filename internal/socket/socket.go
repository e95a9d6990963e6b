package socket

import (
	"io"
	"net"
	"os"
	"syscall"
)

// brief is the largest piece that is read or written without the scheduler's knowledge: copying it takes microseconds.
const brief = 16 << 10

// Socket reads and writes a connection. One goroutine may read and one may write at a time; deadlines and Close are the
// connection's own, from any goroutine.
type Socket struct {
	nc  net.Conn
	raw syscall.RawConn // nil = nc is no socket

	in, out transfer
	look    func(fd uintptr) // sets quiet; made once, like a transfer's step
	quiet   bool
}

// transfer is one read or write under way. Its function is made once, because a closure for each call would be garbage.
type transfer struct {
	b    []byte // what is left to fill or to send
	n    int    // bytes moved
	err  syscall.Errno
	step func(fd uintptr) (done bool)
}

// Of gives the socket of nc. What is no socket is read and written by its own methods.
func Of(nc net.Conn) *Socket {
	s := &Socket{nc: nc}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return s
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return s
	}
	s.raw = raw
	s.in.step, s.out.step = s.in.read, s.out.write
	s.look = func(fd uintptr) { s.quiet = nothingToRead(fd) }
	return s
}

// Quiet reports whether the connection is open and has nothing to read, without waiting. If it has a byte to read, that byte
// is lost. What is no socket is taken for quiet. It is for whoever may read.
func (s *Socket) Quiet() bool {
	if s.raw == nil {
		return true
	}
	s.quiet = false
	return s.raw.Control(s.look) == nil && s.quiet // not raw.Read, which fails once an old deadline has passed
}

// Read reads as the connection does. Its error may name another operation than the connection's would.
func (s *Socket) Read(b []byte) (int, error) {
	if !direct || s.raw == nil || len(b) == 0 || len(b) > brief {
		return s.nc.Read(b)
	}
	s.in.begin(b)
	err := s.raw.Read(s.in.step)
	n, err := s.in.end("read", err)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write writes all of b, as the connection does.
func (s *Socket) Write(b []byte) (int, error) {
	if !direct || s.raw == nil || len(b) == 0 || len(b) > brief {
		return s.nc.Write(b)
	}
	s.out.begin(b)
	return s.out.end("write", s.raw.Write(s.out.step))
}

func (t *transfer) begin(b []byte) { t.b, t.n, t.err = b, 0, 0 }

func (t *transfer) end(op string, err error) (int, error) {
	t.b = nil
	if err == nil && t.err != 0 {
		err = os.NewSyscallError(op, t.err)
	}
	return t.n, err
}
