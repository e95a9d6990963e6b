package socket_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/socket"
)

// pair gives both ends of a TCP connection.
func pair(t testing.TB) (ours, theirs *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

func TestReadWaitsForBytesAndGivesTheEnd(t *testing.T) {
	ours, theirs := pair(t)
	s := socket.Of(ours)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		time.Sleep(20 * time.Millisecond) // so that the read waits; it passes either way
		_, _ = theirs.Write([]byte("hello"))
		_ = theirs.CloseWrite()
	})
	got, err := io.ReadAll(s)
	if string(got) != "hello" || err != nil {
		t.Fatalf("got %q, %v; want hello, no error", got, err)
	}
}

func TestWriteSendsAllThroughAFullBuffer(t *testing.T) {
	ours, theirs := pair(t)
	s := socket.Of(ours)
	const pieces = 512 // 8 MiB: more than the buffers of both ends
	piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for range pieces {
			if n, err := s.Write(piece); n != len(piece) || err != nil {
				t.Errorf("wrote %d bytes, %v; want %d", n, err, len(piece))
				break
			}
		}
		_ = ours.CloseWrite()
	})
	got, err := io.ReadAll(theirs)
	if err != nil || !bytes.Equal(got, bytes.Repeat(piece, pieces)) {
		t.Fatalf("%d bytes arrived, %v; want %d, in order", len(got), err, pieces*len(piece))
	}
}

func TestDeadlinesEndAWaitAndSayHowMuchWasMoved(t *testing.T) {
	ours, _ := pair(t)
	s := socket.Of(ours)
	_ = ours.SetDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := s.Read(make([]byte, 10)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading gave %d, %v; want 0 and a timeout", n, err)
	}
	sent, piece := 0, make([]byte, 16<<10)
	for {
		_ = ours.SetDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := s.Write(piece)
		if sent += n; err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || n == len(piece) {
			t.Errorf("writing gave %d, %v; want less than all and a timeout", n, err)
		}
		break
	}
	if sent == 0 {
		t.Error("nothing was sent before the buffers were full")
	}
}

func TestCloseEndsAWait(t *testing.T) {
	ours, _ := pair(t)
	s := socket.Of(ours)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		time.Sleep(20 * time.Millisecond)
		_ = ours.Close()
	})
	if n, err := s.Read(make([]byte, 10)); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Fatalf("reading gave %d, %v; want 0 and net.ErrClosed", n, err)
	}
}

func TestAResetIsAnError(t *testing.T) {
	ours, theirs := pair(t)
	s := socket.Of(ours)
	_ = theirs.SetLinger(0)
	_ = theirs.Close()
	if n, err := s.Read(make([]byte, 10)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reading gave %d, %v; want 0 and a reset", n, err)
	}
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("writing to a reset connection gave no error")
	}
}

func TestQuietSeesBytesAndTheEnd(t *testing.T) {
	ours, theirs := pair(t)
	s := socket.Of(ours)
	if err := ours.SetDeadline(time.Now()); err != nil { // an old deadline says nothing of the connection
		t.Fatal(err)
	}
	if !s.Quiet() {
		t.Error("got not quiet, want quiet before anything was said")
	}
	if _, err := theirs.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if s.Quiet() {
		t.Error("got quiet with a byte to read")
	}
	if !s.Quiet() {
		t.Error("got not quiet after the byte was taken")
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Quiet() {
		t.Error("got quiet after the other end has closed")
	}
	ours.Close()
	if s.Quiet() {
		t.Error("got quiet after Close")
	}
}

func TestWhatIsNoSocketIsReadAndWrittenToo(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	s := socket.Of(ours)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		_, _ = s.Write([]byte("ping"))
		_ = ours.Close()
	})
	if got, err := io.ReadAll(theirs); string(got) != "ping" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestReadingAndWritingAllocateNothing(t *testing.T) {
	ours, theirs := pair(t)
	a, b := socket.Of(ours), socket.Of(theirs)
	out, in := []byte("0123456789"), make([]byte, 10)
	if n := testing.AllocsPerRun(100, func() {
		_, _ = a.Write(out)
		_, _ = b.Read(in)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
