package trtsim_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

// nowhere is a response that costs nothing to write.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) WriteHeader(int)             {}
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) Flush()                      {}

// BenchmarkSmallRequests is one small answer after the other, with no simulated time.
func BenchmarkSmallRequests(b *testing.B) {
	e := start(b, trtsim.Config{Speed: 1e12})
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"Hello"}],"max_tokens":4}`)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, _ := http.NewRequest("POST", "/v1/chat/completions", bytes.NewReader(body))
			e.ServeHTTP(&nowhere{http.Header{}}, r)
		}
	})
}

// BenchmarkStreamedTokens is what a token of one of 1,000 streams costs, without a network.
func BenchmarkStreamedTokens(b *testing.B) {
	const streams = 1000
	e := start(b, trtsim.Config{Speed: 1e12, MaxSeqLen: 1 << 30, MaxKVTokens: 1 << 30, Profile: &trtsim.Profile{GPUs: 1, KVPerToken: 1e-3, Prefill: 1e9, Base: time.Millisecond}})
	body := []byte(`{"model":"m","prompt":"x","max_tokens":100,"ignore_eos":true,"stream":true}`)
	b.ReportAllocs()
	for range (b.N + streams*100 - 1) / (streams * 100) {
		var wg sync.WaitGroup
		for range streams {
			wg.Go(func() {
				r, _ := http.NewRequest("POST", "/v1/completions", bytes.NewReader(body))
				e.ServeHTTP(&nowhere{http.Header{}}, r)
			})
		}
		wg.Wait()
	}
}

// BenchmarkSmallRequestsOverTCP includes net/http on both sides.
func BenchmarkSmallRequestsOverTCP(b *testing.B) {
	e := start(b, trtsim.Config{Speed: 1e12})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: e}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(ln) })
	b.Cleanup(func() { _ = server.Close(); wg.Wait() })
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.Cleanup(client.CloseIdleConnections)
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"Hello"}],"max_tokens":4}`)
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := client.Post("http://"+ln.Addr().String()+"/v1/chat/completions", "application/json", bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	})
}
