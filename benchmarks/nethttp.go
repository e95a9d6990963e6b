package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// netHTTPCmd is the router that one writes in an afternoon with Go's standard library: it checks a token, reads model and stream out of the body,
// counts requests under way, and forwards.
type netHTTPCmd struct {
	Addr   string `required:""`
	Engine string `required:""`
	Token  string `required:""`
}

func (c *netHTTPCmd) Run() error {
	engine, err := url.Parse("http://" + c.Engine)
	if err != nil {
		return fmt.Errorf("reading the engine's address: %w", err)
	}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1, Transport: &http.Transport{MaxIdleConnsPerHost: 4096},
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(engine) },
	}
	tokens := map[[sha256.Size]byte]bool{sha256.Sum256([]byte(c.Token)): true}
	var underWay, requests atomic.Int64
	server := &http.Server{Addr: c.Addr, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !tokens[sha256.Sum256([]byte(token))] {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 32<<20))
		var asked struct {
			Model  string
			Stream bool
		}
		if err != nil || json.Unmarshal(body, &asked) != nil || asked.Model == "" {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		underWay.Add(1)
		defer underWay.Add(-1)
		requests.Add(1)
		proxy.ServeHTTP(w, r)
	})}
	return server.ListenAndServe()
}

// netHTTP starts it before the engine.
func (s *stage) netHTTP(ctx context.Context, engine *target) (*target, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	const token = "bench-token"
	p, err := start(filepath.Join(s.dir, "nethttp.log"), nil, s.self, "net-http", "--addr", addr, "--engine", engine.addr, "--token", token)
	if err != nil {
		return nil, err
	}
	s.cleanups = append(s.cleanups, func() { p.stop(time.Second) })
	_, s.versions["net/http"] = machine()
	return &target{name: "net/http", addr: addr, token: token, proc: p}, awaitListening(ctx, addr, p)
}
