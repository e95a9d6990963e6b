//go:build !386 && !s390x

package engine_test

import (
	"net"
	"os"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/engine"
)

// TestKnocker_TellsRefusalFromAllElse: with one socket while nothing listens, and with a new one behind a connection.
func TestKnocker_TellsRefusalFromAllElse(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Logf("not on %s: %v", host, err)
			continue
		}
		addr := ln.Addr().String()
		refused, end := engine.NewKnocker(addr)
		defer end()
		if refused() {
			t.Errorf("%s: refused while it listens", addr)
		}
		for range 2 {
			ln.Close()
			before := -1
			for n := range 100 {
				if !refused() {
					t.Fatalf("%s: not refused at the knock %d while nothing listens", addr, n+1)
				}
				if open := descriptors(t); before >= 0 && open != before {
					t.Fatalf("%s: %d descriptors at the knock %d, and %d before", addr, open, n+1, before)
				} else {
					before = open
				}
			}
			if ln, err = net.Listen("tcp", addr); err != nil {
				t.Fatal(err)
			}
			if refused() {
				t.Errorf("%s: refused while it listens again", addr)
			}
		}
		ln.Close()
	}
	for _, addr := range []string{"", "localhost:80", "127.0.0.1"} {
		refused, end := engine.NewKnocker(addr)
		if refused() {
			t.Errorf("%q: refused, want a dial to see", addr)
		}
		end()
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// BenchmarkKnock is what a look at an engine that does not listen yet takes, without the wait before it.
func BenchmarkKnock(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	refused, end := engine.NewKnocker(addr)
	defer end()
	for b.Loop() {
		if !refused() {
			b.Fatal("not refused")
		}
	}
}
