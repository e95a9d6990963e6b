//go:build linux

package slot_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func running(n int) func(fleet.Sighting) bool {
	return func(i fleet.Sighting) bool { return i.Running == n }
}

func TestRunning_FollowsEachList(t *testing.T) {
	t.Parallel()
	w := start(t, options{gpus: 2}, fake("busy", 1, "busy=3"), fake("silent", 1))
	w.launch("i1", "busy", 0, 1)
	w.launch("i2", "silent", 1, 1)
	w.untilTold("both ready, and how many requests i1 serves", func(o fleet.Observation) bool {
		return len(o.Instances) == 2 && ready(o.Instances[1]) && o.Instances[0].Running == 3
	})
	began := time.Now()
	w.AskAgain()
	o := w.untilTold("a fresh list", func(o fleet.Observation) bool { return o.At.After(began) })
	for _, i := range o.Instances {
		if i.Running != fleet.Unasked {
			t.Errorf("the list that waits for no engine says that %s serves %d requests, want %d: nobody was asked", i.ID, i.Running, fleet.Unasked)
		}
	}
	o = w.untilTold("one that was asked for after it", func(o fleet.Observation) bool { return o.At.After(began) && o.Instances[0].Running == 3 })
	if !o.Complete || o.Instances[1].Running != fleet.Uncounted || len(o.Slots) != 1 {
		t.Errorf("got %+v, want a complete list, with %d of the engine that has no such metric", o, fleet.Uncounted)
	}
	get(t, o.Instances[0].Addr, "/busy/0") // or its end would be waited for
}

func TestRunning_IsAskedOnceASecondAtMost(t *testing.T) {
	t.Parallel()
	w := start(t, options{gpus: 1}, fake("m", 1, "busy=0"))
	w.launch("i1", "m", 0, 1)
	i, _ := w.until("i1", running(0))
	began := time.Now()
	for range 100 {
		w.AskAgain()
		time.Sleep(10 * time.Millisecond)
	}
	took := time.Since(began)
	asked, err := strconv.Atoi(get(t, i.Addr, "/counted"))
	if most := 2 + int(took/time.Second); err != nil || asked > most {
		t.Errorf("asked %d times (%v) in %v, want at most %d", asked, err, took, most)
	}
}

func TestRunning_OfTheSimulatorThatCountsIterations(t *testing.T) {
	t.Parallel()
	yaml := filepath.Join(t.TempDir(), "extra.yaml")
	must(t, os.WriteFile(yaml, []byte("enable_iter_perf_stats: true\n"), 0o600))
	w := start(t, options{gpus: 1}, sim(small, 1, "--sim-speed", "1", "--extra_llm_api_options", yaml))
	i := w.hot("i1", small, 0, 1)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+i.Addr+"/v1/chat/completions",
		strings.NewReader(`{"model":"`+small+`","messages":[{"role":"user","content":"hi"}],"max_tokens":400,"ignore_eos":true}`))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	var asking sync.WaitGroup
	asking.Go(func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
		} else if ctx.Err() == nil {
			t.Error(err)
		}
	})
	defer http.DefaultClient.CloseIdleConnections()
	defer asking.Wait()
	defer leave() // once it is told of, the rest of the answer is waited for by nobody
	told := false
	for end := time.Now().Add(10 * time.Second); !told && time.Now().Before(end); {
		w.AskAgain()
		for deadline := time.After(time.Second); !told; {
			select {
			case h := <-w.said:
				told = len(h.Instances) == 1 && h.Instances[0].Running == 1
				continue
			case <-deadline:
			}
			break
		}
	}
	if !told {
		t.Error("the simulator serves a request, and the slot never said so")
	}
}
