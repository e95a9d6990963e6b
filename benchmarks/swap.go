package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// swapCmd answers: what does it take to give GPUs from one model to another, and what is left for work when two models fight for them?
type swapCmd struct {
	Swaps int           `default:"20" help:"Of each kind: by requests, and by hand."`
	Fight time.Duration `default:"20s" help:"How long two callers then want a model each, on GPUs for one of them."`
	Speed int           `default:"20" help:"The simulated engines are so many times faster than life."`
}

// swapModel is what both models are.
const swapModel = "meta-llama/Meta-Llama-3-8B-Instruct"

func (c *swapCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	sim := filepath.Join(s.dir, "trtsim")
	if err := s.buildSimulator(ctx, sim); err != nil {
		return err
	}
	text := "backend \"local\" {\n  gpus        = 1\n  host_memory = \"200GiB\"\n}\n" + sameUser + "\n"
	for _, name := range []string{"a", "b"} {
		text += fmt.Sprintf("model %q {\n  gpus       = 1\n  idle_after = \"1h\"\n  engine \"sim\" {\n    weights = %q\n    command = [%q]\n    args    = [\"--sim-speed\", \"%d\", \"--sim-seed\", \"0\"]\n  }\n}\n", name, swapModel, sim, c.Speed)
	}
	server, err := s.serve(ctx, text)
	if err != nil {
		return err
	}
	for _, name := range []string{"a", "b", "a", "b"} { // both are parked once: the first park of an engine takes longer
		if _, err := server.swapped(ctx, name); err != nil {
			return err
		}
	}
	hand, err := s.swapByHand(ctx, sim, c.Speed)
	if err != nil {
		return err
	}
	var ours, byHand, more []float64
	for i := range c.Swaps {
		var took [2]time.Duration
		for _, k := range rand.Perm(2) {
			if k == 0 {
				var a swapAnswer
				if a, err = server.swapped(ctx, []string{"a", "b"}[i%2]); err == nil && a.start != "parked" {
					err = fmt.Errorf("the model was %s, want parked", a.start)
				}
				took[0] = a.activate
			} else {
				took[1], err = hand.swap(ctx)
			}
			if err != nil {
				return err
			}
		}
		ours, byHand, more = append(ours, millis(took[0])), append(byHand, millis(took[1])), append(more, millis(took[0]-took[1]))
	}
	r := report{
		Scenario: fmt.Sprintf("two models in turns on one GPU, simulated engines %d times faster than life", c.Speed),
		Note:     "by hand: the same program's own park, then the other's resume, one call each, in turns with ours; ours: activate of the answer's Server-Timing",
		Findings: []finding{
			summarize("a swap, by a request", "ms", ours),
			summarize("the engines' own park and resume, by hand", "ms", byHand),
			summarize("a swap, less park and resume by hand", "ms", more),
		},
	}
	fought, err := c.fight(ctx, server)
	if err != nil {
		return err
	}
	r.Findings = append(r.Findings, fought...)
	return r.write(o)
}

// fight has one caller for each model, who asks again when he is answered.
func (c *swapCmd) fight(ctx context.Context, server *pilotlight) ([]finding, error) {
	var mu sync.Mutex
	var waits, swaps []float64
	var failed []error
	end := time.Now().Add(c.Fight)
	var callers sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		callers.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				a, err := server.swapped(ctx, name)
				mu.Lock()
				if err != nil {
					failed = append(failed, err)
				} else if waits = append(waits, millis(a.held)); a.start != "hot" {
					swaps = append(swaps, millis(a.activate))
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	callers.Wait()
	if err := errors.Join(append(failed, ctx.Err())...); err != nil {
		return nil, fmt.Errorf("while two fight: %w", err)
	}
	per := float64(len(waits)) / c.Fight.Seconds()
	return []finding{
		summarize("two that fight: wait of a request", "ms", waits),
		{Name: "two that fight: wait of a request, p99", Unit: "ms", Median: quantileOf(waits, 0.99), Min: quantileOf(waits, 0.5), Max: quantileOf(waits, 1), N: len(waits)},
		{Name: "two that fight: answers per second", Unit: "1/s", Median: per, Min: per, Max: per, N: len(waits)},
		{Name: "two that fight: swaps of all answers", Unit: "share", Median: float64(len(swaps)) / float64(len(waits)), Min: 0, Max: 1, N: len(waits)},
	}, nil
}

// swapAnswer is what an answer says of its wait.
type swapAnswer struct {
	start          string
	activate, held time.Duration
}

// swapped asks a model for one token.
func (p *pilotlight) swapped(ctx context.Context, model string) (a swapAnswer, err error) {
	body := encode(map[string]any{"model": model, "max_tokens": 1, "messages": []any{map[string]string{"role": "user", "content": "hi"}}})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.addr+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return a, fmt.Errorf("asking %s: %w", model, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+p.token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return a, fmt.Errorf("asking %s: %w", model, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return a, errors.Join(err, fmt.Errorf("asking %s: status %d: %s", model, answer.StatusCode, text))
	}
	a.start = answer.Header.Get("X-Pilotlight-Start")
	for part := range strings.SplitSeq(answer.Header.Get("Server-Timing"), ",") {
		name, ms, _ := strings.Cut(strings.TrimSpace(part), ";dur=")
		v, err := strconv.ParseFloat(ms, 64)
		if err != nil {
			return a, fmt.Errorf("reading Server-Timing: %w", err)
		}
		took := time.Duration(v * float64(time.Millisecond))
		switch name {
		case "activate":
			a.activate = took
			a.held += took
		case "queue":
			a.held += took
		}
	}
	return a, nil
}

// handSwap is two engines that nobody manages, of which one is parked.
type handSwap struct{ awake, parked *engine.Control }

func (s *stage) swapByHand(ctx context.Context, sim string, speed int) (*handSwap, error) {
	var both []*engine.Control
	for i := range 2 {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		_, port, _ := strings.Cut(addr, ":")
		key := engine.NewKey()
		p, err := start(filepath.Join(s.dir, fmt.Sprintf("hand-%d.log", i)), []string{"TRTLLM_RUNTIME_CONTROL_API_KEY=" + key}, sim, swapModel, "--host", "127.0.0.1", "--port", port,
			"--enable_sleep_mode", "--sim-speed", fmt.Sprint(speed), "--sim-seed", "0")
		if err != nil {
			return nil, err
		}
		s.cleanups = append(s.cleanups, func() { p.stop(time.Second) })
		if err := engine.Probe(ctx, &fleet.Model{ID: swapModel, GPUs: 1, Engine: fleet.EngineSpec{Kind: fleet.EngineSim}}, addr, func(fleet.Phase) {}); err != nil {
			return nil, fmt.Errorf("waiting for an engine of our own: %w", err)
		}
		both = append(both, engine.NewControl(fleet.EngineSim, addr, []byte(key)))
	}
	h := &handSwap{awake: both[0], parked: both[1]}
	if err := h.parked.Park(ctx); err != nil {
		return nil, err
	}
	for range 2 { // neither is parked for the first time any more
		if _, err := h.swap(ctx); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// swap parks the one, resumes the other, and says how long both took.
func (h *handSwap) swap(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if err := errors.Join(h.awake.Park(ctx), h.parked.Resume(ctx)); err != nil {
		return 0, fmt.Errorf("swapping by hand: %w", err)
	}
	h.awake, h.parked = h.parked, h.awake
	return time.Since(began), nil
}
