package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// TestNomad_SecondServerWaitsAndTakesOver has servers of one cluster on machines, that is directories, of their own.
func TestNomad_SecondServerWaitsAndTakesOver(t *testing.T) {
	c, sim := startShared(t)
	const model = "meta-llama/Meta-Llama-3-8B-Instruct"
	f := nomadFile{cluster: c, name: "pair", sim: sim, models: []nomadModel{{id: model, args: []string{
		"--sim-container-start", "0s", "--sim-load-time", "200ms", "--sim-token-time", "2ms",
	}}}}
	consul := newGate(t, c.Consul.Addr)
	consul.open.Store(true)
	serve := func(f nomadFile) *devServer {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "pilotlight.hcl"), []byte(f.text()), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := beginServe(dir)
		if err != nil {
			t.Fatal(err)
		}
		s.DataDir = dir
		t.Cleanup(func() {
			s.kill()
			if t.Failed() {
				t.Logf("log of %s:\n%s", dir, s.stderr)
			}
		})
		return s
	}
	lead := func(s *devServer) {
		t.Helper()
		if err := s.awaitServing(s.DataDir); err != nil {
			t.Fatal(err)
		}
		s.newToken(t)
	}
	waits := func() *devServer {
		t.Helper()
		s := serve(f)
		at := s.standby(t)
		if text := getText(t, at+"/readyz", http.StatusServiceUnavailable); !strings.Contains(text, "another server leads the cluster") {
			t.Errorf("readyz of who waits says %s", text)
		}
		return s
	}
	first := serve(f)
	lead(first)
	first.awaitReady(t)
	instance := first.mustChat(t, model, true).header.Get("X-Pilotlight-Instance")

	second := waits()
	first.mustChat(t, model, true)
	streamed := first.stream(t, model, 1500) // 3 s, in which the next server must not take its instance away
	if err := first.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if a := <-streamed; !a.whole() {
		t.Errorf("a stream of the server that ended was cut: %v, %q", a.err, a.body[max(0, len(a.body)-200):])
	}
	if strings.Contains(second.stderr.String(), "serving") {
		t.Error("the second led while the first finished a stream")
	}
	<-first.ended
	if first.err != nil {
		t.Errorf("stopping the first: %v", first.err)
	}
	gone := time.Now()
	lead(second)
	t.Logf("the second led %v after the first had ended", time.Since(gone))
	if took := time.Since(gone); took > 2*time.Second {
		t.Errorf("after an orderly end the second led after %v, want 2 s at most", took)
	}
	keeps := func(s *devServer) {
		t.Helper()
		s.awaitReady(t)
		if got := s.mustChat(t, model, true).header.Get("X-Pilotlight-Instance"); got != instance {
			t.Errorf("it serves on %s, want %s, which it found", got, instance)
		}
		if jobs := runningJobs(t, c, f.name); len(jobs) != 1 {
			t.Errorf("there are jobs %v, want the one", jobs)
		}
	}
	keeps(second)

	third := waits()
	second.kill()
	killed := time.Now()
	lead(third)
	t.Logf("the third led %v after the second was killed", time.Since(killed))
	if took := time.Since(killed); took > 20*time.Second {
		t.Errorf("after the leader was killed the next led after %v, want 20 s at most", took)
	}
	keeps(third)
	if err := third.signal(os.Interrupt); err != nil {
		t.Errorf("stopping the third: %v", err)
	}

	// A leader that is cut off from Consul starts nothing, serves what is hot, and ends once another leads.
	cut := f
	cut.consul = consul.url()
	fourth := serve(cut)
	lead(fourth)
	keeps(fourth)
	fifth := waits()
	consul.open.Store(false)
	eventually(t, 10*time.Second, func() string {
		if text := getText(t, fourth.Admin+"/readyz", http.StatusOK); !strings.Contains(text, "it is not certain which server leads") {
			return "readyz of who is cut off says " + text
		}
		return ""
	})
	if got := fourth.mustChat(t, model, true).header.Get("X-Pilotlight-Instance"); got != instance {
		t.Errorf("who is cut off serves on %s, want %s", got, instance)
	}
	lead(fifth)
	keeps(fifth)
	if text := authorized(t, fourth.Admin+"/metrics"); !strings.Contains(text, "pilotlight_leader 0\n") {
		t.Error("both say that they lead")
	}
	consul.open.Store(true)
	select {
	case <-fourth.ended:
		if fourth.err == nil || !strings.Contains(fourth.stderr.String(), "another server has taken over") {
			t.Errorf("who was replaced ended with %v, want an exit status of 1, and why", fourth.err)
		}
	case <-time.After(40 * time.Second):
		t.Error("who was replaced goes on")
	}
	keeps(fifth)
	if _, err := fifth.admin(t).StopModel(t.Context(), model); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() string { return agree(t, c, fifth, f.name, nil) })
	if err := fifth.signal(os.Interrupt); err != nil {
		t.Errorf("stopping the fifth: %v", err)
	}
	noJobDoubled(t, f.name, shared.cluster.Nomad.Addr)
}

// stream begins a stream of so many tokens, and returns once the model serves it.
func (s *devServer) stream(t *testing.T, model string, tokens int) <-chan *answer {
	t.Helper()
	answered := make(chan *answer, 1)
	var asking sync.WaitGroup
	asking.Go(func() {
		a, err := s.post(context.Background(), "/chat/completions", fmt.Appendf(nil, `{"model": %q, "stream": true, "max_tokens": %d, "min_tokens": %[2]d,
			"ignore_eos": true, "messages": [{"role": "user", "content": "Count."}]}`, model, tokens))
		if err != nil {
			a = &answer{err: err}
		}
		answered <- a
	})
	t.Cleanup(asking.Wait)
	eventually(t, 30*time.Second, func() string {
		if m, err := s.admin(t).Model(t.Context(), model); err != nil || m.Inflight != 1 {
			return fmt.Sprintf("no stream flows: %+v, %v", m, err)
		}
		return ""
	})
	return answered
}

// noJobDoubled looks whether a model's instance was ever started twice.
func noJobDoubled(t *testing.T, name, addr string) {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	jobs, _, err := client.Jobs().List(&api.QueryOptions{Prefix: "pilotlight-" + name + "-"})
	if err != nil || len(jobs) != 1 {
		t.Errorf("there ever were %d jobs (%v), want one", len(jobs), fmt.Sprint(err))
	}
}
