package edge

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// caller is a connection that only knows where it comes from, and whether it was closed.
type caller struct {
	net.Conn
	from   string
	closed bool
	said   strings.Builder
}

func (c *caller) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(c.from), Port: 1234}
}
func (c *caller) Close() error                     { c.closed = true; return nil }
func (c *caller) Write(b []byte) (int, error)      { return c.said.Write(b) }
func (c *caller) SetWriteDeadline(time.Time) error { return nil }
func (c *caller) SetReadDeadline(time.Time) error  { return nil }
func (c *caller) Read([]byte) (int, error)         { return 0, io.EOF }

type party struct {
	t   *testing.T
	all *Connections
}

func newParty(t *testing.T, most int) *party {
	return &party{t: t, all: New(Config{Listener: "public", Max: most, Metrics: metrics.NewSet()})}
}

// call accepts n connections from an address; nil for those that were turned away.
func (p *party) call(from string, n int) (all []*Conn) {
	for range n {
		all = append(all, p.all.Accept(&caller{from: from}))
	}
	return all
}

func open(all []*Conn) (n int) {
	for _, c := range all {
		if c != nil && !c.Conn.(*caller).closed {
			n++
		}
	}
	return n
}

func (p *party) work(all []*Conn) {
	p.t.Helper()
	for _, c := range all {
		if !c.begin() {
			p.t.Fatal("a request cannot begin on an open connection")
		}
	}
}

func TestHosts_SilentConnectionsMakeRoom(t *testing.T) {
	p := newParty(t, 100)
	flood := p.call("192.0.2.1", 1000)
	if got := open(flood); got != 75 {
		t.Errorf("got %d connections of one address, want three quarters", got)
	}
	if open(flood[len(flood)-75:]) != 75 {
		t.Error("got new ones closed, want the oldest")
	}
	others := p.call("192.0.2.2", 40)
	if got, left := open(others), open(flood); got != 40 || left != 60 || p.all.Count() != 100 {
		t.Errorf("got %d of another address and %d of the flood, want 40 and 60", got, left)
	}
}

func TestHosts_RequestsAreNotInterrupted(t *testing.T) {
	p := newParty(t, 100)
	working := p.call("192.0.2.1", 75)
	p.work(working)
	refused := &caller{from: "192.0.2.1"}
	if c := p.all.Accept(refused); c != nil || !refused.closed || !strings.Contains(refused.said.String(), `"code":"overloaded"`) {
		t.Errorf("got %v with %q, want it turned away", c, &refused.said)
	}
	idle := p.call("192.0.2.2", 25)
	if got := open(p.call("192.0.2.3", 10)); got != 10 {
		t.Errorf("got %d, want the silent ones of a smaller address closed for them", got)
	}
	if open(working) != 75 || open(idle) != 15 {
		t.Errorf("got %d with requests and %d silent, want 75 and 15", open(working), open(idle))
	}
	for range 50 {
		if c := p.all.Accept(&caller{from: "192.0.2.4"}); c != nil {
			p.work([]*Conn{c})
		}
	}
	if got, all := open(working), p.all.Count(); got != 75 || all != 100 {
		t.Errorf("got %d of %d with requests, want 75 of 100", got, all)
	}
}

// One that never sent a request goes before one that has only paused.
func TestHosts_FreshGoBeforeRested(t *testing.T) {
	p := newParty(t, 10)
	rested := p.call("192.0.2.1", 3)
	p.work(rested)
	for _, c := range rested {
		c.rest()
	}
	p.call("192.0.2.1", 4)
	p.call("192.0.2.2", 3)
	p.call("192.0.2.2", 4)
	if got := open(rested); got != 3 {
		t.Errorf("got %d of three that had requests, want them kept before fresh ones", got)
	}
}

func TestHosts_AClosedConnectionIsUncounted(t *testing.T) {
	p := newParty(t, 10)
	for range 100 {
		for _, c := range p.call("2001:db8::1", 5) {
			_ = c.Close()
			_ = c.Close()
		}
	}
	if got := p.all.Count(); got != 0 || len(p.all.hosts.of) != 0 || p.all.hosts.open != 0 {
		t.Errorf("got %d connections, %d addresses, want none", got, len(p.all.hosts.of))
	}
	if a, b := origin((&caller{from: "2001:db8::1"}).RemoteAddr()), origin((&caller{from: "2001:db8::ffff:2"}).RemoteAddr()); a != b {
		t.Errorf("got %v and %v, want one /64 to be one address", a, b)
	}
}

func TestConn_NoRequestBeginsOnceItIsBeingClosed(t *testing.T) {
	p := newParty(t, 1)
	first := p.call("192.0.2.1", 1)[0]
	if second := p.call("192.0.2.1", 1)[0]; second == nil {
		t.Fatal("got the second turned away, want the silent one closed")
	}
	if first.begin() {
		t.Error("a request begins on a connection that is being closed")
	}
}

func TestRoom_IsWhatOthersLeave(t *testing.T) {
	room := 100
	p := &party{t: t, all: New(Config{Listener: "public", Max: 80, Room: func() int { return room }, Metrics: metrics.NewSet()})}
	all := p.call("192.0.2.1", 40)
	p.work(all)
	room = 50
	if got := open(p.call("192.0.2.2", 20)); got != 10 || p.all.Count() != 50 {
		t.Errorf("got %d of 20 new ones, and %d in all; want 10, for which others were closed, and 50", got, p.all.Count())
	}
	room = 100
	if p.call("192.0.2.3", 60); p.all.Count() != 80 {
		t.Errorf("got %d, want 80 where there is room again", p.all.Count())
	}
}

func TestRoomIn(t *testing.T) {
	for descriptors, want := range map[int]Room{
		64: {Public: 12, Both: 16, Admin: 8}, 800: {Public: 488, Both: 650, Admin: 50}, 1024: {Public: 624, Both: 832, Admin: 64},
		20000: {Public: 12741, Both: 16988, Admin: 512}, 65536: {Public: 42624, Both: 56832, Admin: 512},
	} {
		if got := RoomIn(descriptors); got != want {
			t.Errorf("%d: got %+v, want %+v", descriptors, got, want)
		}
	}
}

func TestInterrupt_EndsAReadWhateverDeadlineIsSet(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := New(Config{Listener: "public", Metrics: metrics.NewSet()}).Accept(near)
	c.upload.Store(uploadRead)
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_ = c.SetReadDeadline(time.Now().Add(time.Hour))
			_, err = c.Read(make([]byte, 1))
		}
		c.endUpload()
		ended <- err
	}()
	if _, err := far.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	c.Interrupt()
	if err := <-ended; !isTimeout(err) {
		t.Errorf("got %v, want a timeout", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Hour)) // for the next request
	go func() { _, _ = far.Write([]byte("y")) }()
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("got %d bytes, %v, want the next read undisturbed", n, err)
	}
}

func TestEbb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		collections := func() uint32 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.NumForcedGC
		}
		p := newParty(t, 0)
		before := collections()
		for range 2 { // floods
			all := p.call("192.0.2.1", 2*floodLeast)
			for i, c := range all {
				_ = c.Close()
				if i < len(all)/2 {
					time.Sleep(ebbWait)
				}
			}
			if got := collections(); got != before {
				t.Fatalf("got %d collections before a flood's end, want none", got-before)
			}
			time.Sleep(ebbWait)
			synctest.Wait()
			if got := collections(); got < before+2 {
				t.Errorf("got %d collections after a flood, want its memory given back", got-before)
			}
			before = collections()
		}
		for _, c := range p.call("192.0.2.1", floodLeast/2) {
			_ = c.Close()
		}
		time.Sleep(time.Minute)
		if got := collections(); got != before {
			t.Errorf("got %d collections after a few connections, want none", got-before)
		}
	})
}
