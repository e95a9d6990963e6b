package edge_test

import (
	"errors"
	"net"
	"testing"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// told counts what a departure is told.
type told chan error

func (t told) Leave(cause error) { t <- cause }

// TestArm_TellsOnce has a caller half-close its connection and then drop it, which the kernel tells as two events, and the server end the request meanwhile.
func TestArm_TellsOnce(t *testing.T) {
	all := edge.New(edge.Config{Listener: "public", Metrics: metrics.NewSet()})
	defer all.Stop()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accept := func() (*edge.Conn, *net.TCPConn) {
		far, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		near, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return all.Accept(near), far.(*net.TCPConn)
	}
	first, caller := accept()
	defer first.Close()
	causes := make(told, 10)
	first.Arm(causes)
	if err := caller.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := <-causes; !errors.Is(got, edge.ErrGone) {
		t.Errorf("got %v, want %v", got, edge.ErrGone)
	}
	first.Cancel(errors.New("the server stops"))
	if err := errors.Join(caller.SetLinger(0), caller.Close()); err != nil {
		t.Fatal(err)
	}
	other, leaver := accept() // events are told in their order: when this one's has been, so has that of the first
	defer other.Close()
	left := make(told, 10)
	other.Arm(left)
	if err := leaver.Close(); err != nil {
		t.Fatal(err)
	}
	<-left
	if n := len(causes); n != 0 {
		t.Errorf("told %d times more, want once in all: the second time it was %v", n, <-causes)
	}
	first.Disarm()
	first.Arm(causes) // the next request of one who has left
	if got := <-causes; !errors.Is(got, edge.ErrGone) || len(causes) != 0 {
		t.Errorf("got %v and %d more, want %v once", got, len(causes), edge.ErrGone)
	}
}
