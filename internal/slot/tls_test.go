package slot_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// tap relays connections, and keeps what passes.
type tap struct {
	mu   sync.Mutex // guards seen
	seen bytes.Buffer
}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

// before listens on the way to addr.
func (p *tap) before(t *testing.T, addr string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var relaying sync.WaitGroup
	t.Cleanup(func() {
		ln.Close()
		relaying.Wait()
	})
	relaying.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", addr)
			if err != nil {
				near.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				relaying.Go(func() {
					_, _ = io.Copy(way[1], io.TeeReader(way[0], p))
					near.Close()
					far.Close()
				})
			}
		}
	})
	return ln.Addr().String()
}

func TestAPI_NobodyOnTheWayLearnsTheKeyOrWhatRuns(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1))
	r := offer(t, w.Slot, "127.0.0.1:0")
	var all tap
	client, err := slot.NewClient(slot.ClientConfig{Addr: all.before(t, r.addr), Key: slotKey, Models: []*fleet.Model{fake("m", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Do(t.Context(), launch("the-instance", "m", 0, 1)); err != nil {
		t.Fatal(err)
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.seen.Len() == 0 || bytes.Contains(all.seen.Bytes(), []byte(slotKey)) || bytes.Contains(all.seen.Bytes(), []byte("the-instance")) {
		t.Errorf("of %d bytes on the way the key or the act can be read", all.seen.Len())
	}
}

func TestAPI_WhoShowsNoCertificateOfTheKeyGetsNoTLS(t *testing.T) {
	w := start(t, options{gpus: 1})
	r := offer(t, w.Slot, "127.0.0.1:0")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	if resp, err := client.Get("https://" + r.addr + "/healthz"); err == nil {
		resp.Body.Close()
		t.Errorf("got %s, want no handshake", resp.Status)
	}
	plain, err := client.Get("http://" + r.addr + "/healthz") // Consul's look
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != http.StatusOK {
		t.Errorf("in plain HTTP: got %s, want 200", plain.Status)
	}
}

func TestClient_SpeaksToNobodyWhoDoesNotKnowTheKey(t *testing.T) {
	heard := make(chan []byte, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var hearing sync.WaitGroup
	defer hearing.Wait()
	hearing.Go(func() { // plain HTTP, as whoever stands in the way would like it
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		first := make([]byte, 4096)
		n, _ := c.Read(first)
		heard <- first[:n]
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
	})
	client, err := slot.NewClient(slot.ClientConfig{Addr: ln.Addr().String(), Key: slotKey})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Fence(t.Context(), 1); !errors.Is(err, fleet.ErrUnreachable) {
		t.Errorf("got %v, want %v", err, fleet.ErrUnreachable)
	}
	if b := <-heard; bytes.Contains(b, []byte(slotKey)) {
		t.Error("the key was told to whoever listens")
	}
}

func TestClient_SpeaksPlainToASupervisorOfBefore(t *testing.T) {
	w := start(t, options{gpus: 1})
	r := offer(t, w.Slot, "127.0.0.1:0")
	client, err := slot.NewClient(slot.ClientConfig{Addr: r.addr, Key: slotKey, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Fence(t.Context(), 1); err != nil {
		t.Error(err)
	}
}
