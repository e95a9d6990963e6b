package engine_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// A look for which we have no descriptor says nothing of the engine, however often that happens.
func TestWatchHealth_OurShortageIsNoMiss(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	restore := exhaustDescriptors(t)
	err := engine.WatchHealth(ctx, fleet.EngineTRTLLM, strings.TrimPrefix(s.URL, "http://"), engine.HealthRule{Every: time.Millisecond, Misses: 3}, func(bool) {})
	restore()
	if err != nil {
		t.Errorf("got %v, want the engine not blamed", err)
	}
}

// exhaustDescriptors lets the process open no file or socket until restore.
func exhaustDescriptors(t *testing.T) (restore func()) {
	t.Helper()
	next, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = uint64(next.Fd()) // the lowest that was free: all below are taken
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
}
