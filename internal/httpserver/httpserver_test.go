package httpserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/httpserver"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// TestServe_HandlersEndWithTheContextAndAreHeard: a stream that ends when its context does says its last word.
func TestServe_HandlersEndWithTheContextAndAreHeard(t *testing.T) {
	ln := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		_, _ = io.WriteString(w, "the end")
	})}
	served := make(chan error, 1)
	go func() { served <- httpserver.Serve(ctx, server, ln) }() // awaited below
	resp, err := http.Get("http://" + ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "the end" {
		t.Errorf("the stream says %q (%v), want the end", text, err)
	}
	if err := <-served; err != nil {
		t.Errorf("got %v, want nil: it was told to end", err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("it listens still")
	}
}

// TestServe_SaysWhyItCannotServe: a listener that fails is no end that was asked for.
func TestServe_SaysWhyItCannotServe(t *testing.T) {
	ln := listen(t)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := httpserver.Serve(t.Context(), &http.Server{}, ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want that the listener is closed", err)
	}
}
