//go:build unix

package cluster

import (
	"net"
	"testing"
)

func TestClaimBlock_TwoClustersHandOutDifferentPorts(t *testing.T) {
	seen := make(map[string]bool)
	for range 2 * (engineHigh - engineLow) / engineBlock / 3 { // most of them: a second claim of one block would show
		claim, err := claimBlock()
		if err != nil {
			t.Fatal(err)
		}
		defer claim.Close()
		if at := claim.Addr().String(); seen[at] {
			t.Errorf("the block at %s was claimed twice", at)
		} else {
			seen[at] = true
		}
	}
}

func TestWriter_WellKnownPortsWhereFree(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().(*net.TCPAddr).Port
	open, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		known bool
		port  int
		want  bool
	}{
		{"free", true, open, true},
		{"busy", true, busy, false},
		{"not asked for", false, 4646, false},
	} {
		w := writer{wellKnown: tt.known, taken: make(map[int]bool)}
		if got := w.port(tt.port) == tt.port; got != tt.want || w.err != nil {
			t.Errorf("%s: got the well-known port %t, error %v; want %t", tt.name, got, w.err, tt.want)
		}
	}
}
