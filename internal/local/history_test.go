//go:build linux

package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/local"
)

// history is one random run of the real activator over this back end and simulated engines, which check every control call's signature
// strictly and find out of memory whoever takes more of a GPU than is free. Clients ask for models that do not fit together, while engines are killed,
// lose their memory and find none. What must hold all the while:
//   - a GPU belongs to one awake engine, and beside it to no more parked ones than may be;
//   - the parked ones fit in the host's memory;
//   - the back end has to refuse nothing;
//   - nobody runs out of GPU memory, and no signature is refused, unless the history has seen to it;
//   - every request gets a lease or a refusal, and who has a lease an answer, unless its engine was tampered with;
//   - no engine outlives the back end.
type history struct {
	t      *testing.T
	dir    string
	models map[string]*fleet.Model
	pool   fleet.Pool
	a      *activator.Activator

	mu       sync.Mutex // guards all below
	seen     map[string]fleet.Sighting
	tampered map[string]bool // instance ID -> the history has done something to it
	starts   map[fleet.Tier]int
	refused  int
	broken   int
}

const (
	historyGPUs = 4
	answerLimit = 3 * time.Minute // of a request, on a busy machine
)

func historyModel(id string, gpus int, parked fleet.Bytes) *fleet.Model {
	return &fleet.Model{
		ID: id, GPUs: gpus, Pool: fleet.LocalPool, Endpoints: []fleet.Endpoint{fleet.EndpointChat}, MaxConcurrency: 8, IdleAfter: 400 * time.Millisecond,
		Instances: fleet.Range{Max: 2}, Queue: fleet.QueueLimits{Limit: 100, MaxWait: answerLimit}, Timeouts: fleet.Timeouts{Start: time.Minute},
		ParkedMemory: parked,
		Engine: fleet.EngineSpec{Kind: fleet.EngineSim, Memory: parked, Args: []string{
			"--sim-speed", "100", "--sim-seed", "0", "--sim-load-time", "1s", "--sim-fault-route",
		}},
	}
}

// keeper is the fixed policy that wishes all parked.
type keeper struct{ activator.Policy }

func (k keeper) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	d := k.Policy.Decide(now, v)
	d.Parked, d.ParkedValue = 2, float64(len(v.Model.ID)%5)
	return d
}

func TestHistories_WithRealEngines(t *testing.T) {
	seeds, rounds := uint64(2), 20
	if testing.Short() {
		seeds, rounds = 1, 5
	}
	first := uint64(0)
	if s, err := strconv.ParseUint(os.Getenv("HISTORIES"), 10, 64); err == nil { // more of them, from there on
		first, seeds = s, 20
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { playHistory(t, seed, rounds) })
	}
}

func playHistory(t *testing.T, seed uint64, rounds int) {
	h := &history{
		t: t, dir: t.TempDir(), models: map[string]*fleet.Model{}, seen: map[string]fleet.Sighting{}, tampered: map[string]bool{},
		starts: map[fleet.Tier]int{},
		pool: fleet.Pool{
			Name: fleet.LocalPool, GPUsPerSlot: historyGPUs, HostMemory: 460 << 30, MaxParkedPerGPU: 3, ParkedGPUMemory: 4 << 30,
		},
	}
	for _, m := range []*fleet.Model{
		historyModel("meta-llama/Meta-Llama-3-8B-Instruct", 1, 21<<30), historyModel("meta-llama/Meta-Llama-3.1-8B-Instruct", 1, 21<<30),
		historyModel("mistralai/Mistral-7B-Instruct-v0.3", 2, 25<<30), historyModel("mistralai/Mixtral-8x7B-Instruct-v0.1", 2, 104<<30),
		historyModel("meta-llama/Meta-Llama-3-70B-Instruct", 4, 161<<30), historyModel("meta-llama/Meta-Llama-3.1-70B-Instruct", 4, 161<<30),
	} {
		h.models[m.ID] = m
	}
	end := h.start()
	var clients, rest sync.WaitGroup
	for n := range uint64(6) {
		clients.Go(func() { h.client(rand.New(rand.NewPCG(seed, n)), rounds) })
	}
	calm, stop := context.WithCancel(t.Context())
	rest.Go(func() { h.tamper(calm, rand.New(rand.NewPCG(seed, 99))) })
	clients.Wait()
	stop()
	rest.Wait()
	for _, id := range slices.Sorted(maps.Keys(h.models)) { // however it was left, each can be had again
		h.ask(id)
	}
	end()
	h.mu.Lock()
	defer h.mu.Unlock()
	t.Logf("%d answers by tier %v, %d refusals, %d leases on broken engines, %d engines tampered with", rounds*6, h.starts, h.refused, h.broken, len(h.tampered))
	if h.starts[fleet.Parked] == 0 {
		t.Error("nothing was resumed")
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, "engines", "*.pid")); len(left) > 0 {
		t.Errorf("engines are left: %v", left)
	}
}

// start runs the activator and the back end; the function that it gives ends them.
func (h *history) start() (end func()) {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	models := slices.Collect(maps.Values(h.models))
	log := slog.New(slog.NewTextHandler(testLog{h.t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	back, err := local.New(local.Config{
		GPUs: historyGPUs, HostMemory: h.pool.HostMemory, Dir: h.dir, Models: models, Self: self, Grace: 10 * time.Second, Log: log,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.a, err = activator.New(activator.Config{
		Backend: strict{back, h}, Observers: []activator.Observer{back}, Policy: keeper{autoscaler.NewFixed(autoscaler.FixedConfig{})},
		Models: models, Pools: []fleet.Pool{h.pool}, Log: log, Seed: 1,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	run := func(f func(context.Context) error) (end func()) {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := f(ctx); err != nil {
				h.t.Error(err)
			}
		})
		return sync.OnceFunc(func() {
			cancel()
			wg.Wait()
		})
	}
	endBack := run(back.Run)
	endWatch := run(func(ctx context.Context) error { return back.Watch(ctx, h.check) })
	endActivator := run(h.a.Run)
	end = func() {
		endActivator()
		endBack()
		endWatch()
	}
	h.t.Cleanup(end)
	return end
}

// strict is the back end, from which the activator asks nothing that it has to refuse.
type strict struct {
	*local.Local
	h *history
}

func (s strict) Do(ctx context.Context, act fleet.Act) error {
	err := s.Local.Do(ctx, act)
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if err != nil && !s.h.tampered[act.Instance] {
		s.h.t.Error(err)
	}
	return err
}

// check holds the promises about what is there.
func (h *history) check(o fleet.Observation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var host fleet.Bytes
	var awake [historyGPUs]string
	var parked [historyGPUs]int
	for _, i := range o.Instances {
		was := h.seen[i.ID]
		h.seen[i.ID] = i
		if i.Failure != "" && was.Failure != i.Failure {
			h.judge(i)
		}
		switch {
		case i.Gone:
			continue
		case i.State == fleet.Stopping && (was.State == fleet.Asleep || was.State == fleet.Stopping):
			h.seen[i.ID] = was // what it was before
			continue
		case i.State == fleet.Asleep:
			for g := i.GPU; g < i.GPU+i.GPUs; g++ {
				parked[g]++
			}
		case i.State != fleet.Failed || was.State != fleet.Asleep:
			for g := i.GPU; g < i.GPU+i.GPUs; g++ {
				if awake[g] != "" {
					h.t.Errorf("%s and %s are awake on GPU %d", awake[g], i.ID, g)
				}
				awake[g] = i.ID
			}
		}
		if i.State == fleet.Asleep || i.State == fleet.Parking || i.State == fleet.Resuming {
			host += h.models[i.Model].ParkedMemory
		}
	}
	for g, n := range parked {
		if most := h.pool.MaxParkedPerGPU; awake[g] != "" && n > most {
			h.t.Errorf("%d are parked on GPU %d beside %s, most %d", n, g, awake[g], most)
		}
	}
	if host > h.pool.HostMemory {
		h.t.Errorf("parked engines take %s of %s", host, h.pool.HostMemory)
	}
}

var unplanned = regexp.MustCompile(`(?i)out of memory|authentication|nonce|timestamp|hang`)

// judge holds that no engine fails but by what was done to it; it needs mu.
func (h *history) judge(i fleet.Sighting) {
	if !h.tampered[i.ID] || unplanned.MatchString(i.Failure) && !strings.Contains(i.Failure, "(cuMemCreate)") {
		h.t.Errorf("%s of %s, %s: %s", i.ID, i.Model, i.State, i.Failure)
	}
}

// client asks for one model after the other.
func (h *history) client(r *rand.Rand, rounds int) {
	ids := slices.Sorted(maps.Keys(h.models))
	for range rounds {
		h.ask(ids[r.IntN(len(ids))])
		time.Sleep(time.Duration(r.IntN(200)) * time.Millisecond)
	}
}

// ask makes one request.
func (h *history) ask(model string) {
	lease, waiter, err := h.a.Acquire(activator.Ask{Model: model, Org: "o"})
	if waiter != nil {
		select {
		case <-waiter.Ready():
			lease, err = waiter.Answer()
		case <-time.After(answerLimit + time.Minute):
			h.t.Errorf("%s: no answer", model)
			return
		}
	}
	if err != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.refused++; !errors.Is(err, activator.ErrActivationFailed) {
			h.t.Errorf("%s: %v", model, err)
		}
		return
	}
	err = post(lease.Addr, "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":20}`)
	h.mu.Lock()
	h.starts[lease.Start]++
	outcome := activator.Succeeded
	if err != nil {
		outcome = activator.EngineFailed
		if h.broken++; !h.tampered[lease.Instance] {
			h.t.Errorf("%s of %s: %v", lease.Instance, model, err)
		}
	}
	h.mu.Unlock()
	lease.Release(outcome)
}

func post(addr, path, body string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := client.Post("http://"+addr+path, "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if said, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s, %w", resp.Status, said, err)
	}
	return nil
}

// tamper kills engines, and makes parks and resumes fail.
func (h *history) tamper(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil {
		h.mu.Lock()
		var ids []string
		for _, id := range slices.Sorted(maps.Keys(h.seen)) {
			if i := h.seen[id]; !i.Gone && !h.tampered[id] && i.Addr != "" {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 {
			i := h.seen[ids[r.IntN(len(ids))]]
			h.tampered[i.ID] = true
			h.mu.Unlock()
			h.harm(r, i)
		} else {
			h.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(200+r.IntN(800)) * time.Millisecond):
		}
	}
}

func (h *history) harm(r *rand.Rand, i fleet.Sighting) {
	faults := []string{"resume", "resume_short", "release"}
	if n := r.IntN(len(faults) + 1); n < len(faults) {
		post(i.Addr, "/sim/faults", `[{"kind":"`+faults[n]+`","times":1}]`) // it may be gone
		return
	}
	data, err := os.ReadFile(filepath.Join(h.dir, "engines", i.ID+".pid"))
	if err != nil {
		return
	}
	if m := regexp.MustCompile(`"pid":(\d+)`).FindSubmatch(data); m != nil {
		pid, _ := strconv.Atoi(string(m[1]))
		syscall.Kill(pid, syscall.SIGKILL)
	}
}
