package edge_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// oneReader finds two reads that are under way at once.
type oneReader struct {
	net.Conn
	reads, most atomic.Int32
}

func (o *oneReader) Read(b []byte) (int, error) {
	if n := o.reads.Add(1); n > o.most.Load() {
		o.most.Store(n)
	}
	defer o.reads.Add(-1)
	return o.Conn.Read(b)
}

type nobody struct{}

func (nobody) Leave(error) {}

// TestClose_ReadsOnWithOneReader closes behind a last answer while the look for the caller's departure is still reading.
func TestClose_ReadsOnWithOneReader(t *testing.T) {
	for name, rest := range map[string]string{"silent": "", "one byte": "x", "more": "more of the body"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				under := &oneReader{Conn: near}
				c := edge.New(edge.Config{Listener: "public", Metrics: metrics.NewSet()}).Accept(under)
				c.Arm(nobody{})
				synctest.Wait() // it reads
				c.Disarm()
				c.Linger()
				var sends sync.WaitGroup
				sends.Go(func() {
					if n, err := far.Write([]byte(rest)); n != len(rest) || err != nil {
						t.Errorf("got %d bytes taken, %v, want all of %q read behind the answer", n, err, rest)
					}
				})
				began := time.Now()
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				sends.Wait()
				if got := under.most.Load(); got != 1 {
					t.Errorf("got %d reads at once, want 1", got)
				}
				if got := time.Since(began); got != time.Second {
					t.Errorf("closed after %v, want after a pause of 1s", got)
				}
			})
		})
	}
}

// TestAccept_DoesNotWaitForTheOneItCloses lets a connection be closed for another's sake that has a last answer behind it.
func TestAccept_DoesNotWaitForTheOneItCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := edge.New(edge.Config{Listener: "public", Metrics: metrics.NewSet(), Max: 1})
		near, far := net.Pipe()
		defer far.Close()
		all.Accept(near).Linger()
		began := time.Now()
		other, theirs := net.Pipe()
		defer theirs.Close()
		c := all.Accept(other)
		if c == nil {
			t.Fatal("turned away, want the silent one closed")
		}
		defer c.Close()
		if got := time.Since(began); got != 0 {
			t.Errorf("accepted after %v, want at once", got)
		}
	})
}
