package handover_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/handover"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a process that serves and one that takes over, both in this one.
type world struct {
	post        *handover.Post
	predecessor *handover.Predecessor
	end         func() // of the one that serves
}

func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	path := filepath.Join(dir, "handover")
	post, err := handover.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := post.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	p, err := handover.Dial(t.Context(), path, "v2")
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { p.Run(t.Context()) })
	w := &world{post: post, predecessor: p, end: sync.OnceFunc(func() {
		if s := post.Successor(); s != nil {
			_ = s.Close()
		}
		cancel()
		running.Wait()
		_ = p.Close()
	})}
	t.Cleanup(w.end)
	for post.Successor() == nil {
		time.Sleep(time.Millisecond)
	}
	return w
}

func TestHandover_ListenersAcceptOnInTheOtherProcess(t *testing.T) {
	for name, dir := range map[string]string{"short": t.TempDir(), "long": filepath.Join(t.TempDir(), strings.Repeat("d", 120))} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, dir)
			if s := w.post.Successor(); s.PID != os.Getpid() || s.Version != "v2" {
				t.Errorf("got successor %+v", s)
			}
			var all []net.Listener
			names := []string{"api", "admin"}
			for range names {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, ln)
			}
			queued := dial(t, all[0]) // it waits to be accepted, by whoever comes first
			if err := w.post.Successor().GiveListeners(names, all); err != nil {
				t.Fatal(err)
			}
			<-w.predecessor.Offered()
			got := map[string]net.Listener{}
			for i, name := range names {
				got[name] = w.predecessor.Listener(name)
				if got[name] == nil || got[name].Addr().String() != all[i].Addr().String() {
					t.Fatalf("%s: got %v, want the one at %v", name, got[name], all[i].Addr())
				}
				defer got[name].Close()
				if err := all[i].Close(); err != nil {
					t.Error(err)
				}
			}
			late := dial(t, got["api"])
			for range 2 {
				c, err := got["api"].Accept()
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(c, "hello\n")
				c.Close()
			}
			for _, c := range []net.Conn{queued, late} {
				if line, err := bufio.NewReader(c).ReadString('\n'); line != "hello\n" || err != nil {
					t.Errorf("got %q, %v", line, err)
				}
			}
		})
	}
}

func dial(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestHandover_ConnectionsAreTakenThoughTheyComeBeforeAnybodyTakesThem(t *testing.T) {
	w := newWorld(t, t.TempDir())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := make(chan net.Conn, 2)
	for i := range 2 {
		caller := dial(t, ln)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(caller, "unread\n") // what nobody has read goes over, too
		if !w.post.Successor().GiveConn(c) {
			t.Fatal("not handed over")
		}
		c.Close()
		if i == 0 {
			w.predecessor.TakeConns(func(c net.Conn) { taken <- c })
		}
		other := <-taken
		if line, err := bufio.NewReader(other).ReadString('\n'); line != "unread\n" || err != nil {
			t.Errorf("got %q, %v", line, err)
		}
		other.Close()
	}
	if in, out := net.Pipe(); w.post.Successor().GiveConn(in) {
		t.Error("what is no socket was handed over")
	} else {
		in.Close()
		out.Close()
	}
}

func TestHandover_WhoeverWaitsHearsOfTheEnd(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.end()
	<-w.predecessor.Gone()
	<-w.predecessor.Offered()
	if got := w.predecessor.Listener("api"); got != nil {
		t.Errorf("got %v, want that nothing was handed over", got)
	}
}

func TestHandover_OnlyOneSucceedsAndTheNextWhenThatHasGone(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, dir)
	first := w.post.Successor()
	second, err := handover.Dial(t.Context(), filepath.Join(dir, "handover"), "v3")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Ask(); err != nil {
		t.Fatal(err)
	}
	<-w.post.Asked()
	if w.post.Successor() != first {
		t.Error("the second that came succeeds")
	}
	second.Close()
	w.predecessor.Close()
	for w.post.Successor() != nil {
		time.Sleep(time.Millisecond)
	}
}

func TestDial_SaysThatNobodyServes(t *testing.T) {
	if _, err := handover.Dial(t.Context(), filepath.Join(t.TempDir(), "handover"), "v2"); !errors.Is(err, handover.ErrGone) {
		t.Errorf("got %v, want %v", err, handover.ErrGone)
	}
}
