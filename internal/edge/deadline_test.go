package edge_test

import (
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// TestReadDeadline_TheLastOneSetIsTheOneThatEnds checks it where one in force may stay, because it lies before.
func TestReadDeadline_TheLastOneSetIsTheOneThatEnds(t *testing.T) {
	for name, deadlines := range map[string][]time.Duration{
		"one": {time.Second}, "later": {time.Second, 3 * time.Second}, "earlier": {3 * time.Second, time.Second},
		"to and fro": {3 * time.Second, time.Second, 2 * time.Second}, "lifted and back": {time.Second, 0, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer near.Close()
			defer far.Close()
			c := edge.New(edge.Config{Listener: "public", Metrics: metrics.NewSet()}).Accept(near)
			var sends sync.WaitGroup
			began := time.Now()
			for _, d := range deadlines {
				at := time.Time{}
				if d > 0 {
					at = began.Add(d)
				}
				if err := c.SetReadDeadline(at); err != nil {
					t.Fatal(err)
				}
				sends.Go(func() { far.Write([]byte("x")) })
				if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil { // puts the deadline in force
					t.Fatalf("%s: got %d bytes, %v", name, n, err)
				}
				sends.Wait()
			}
			_, err := c.Read(make([]byte, 1))
			want := deadlines[len(deadlines)-1]
			if got := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || got != want {
				t.Errorf("%s: got %v after %v, want a timeout after %v", name, err, got, want)
			}
		})
	}
}
