package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

type activationCmd struct {
	Runs int      `default:"30" help:"Activations of each kind."`
	On   []string `default:"embedded,raw_exec" enum:"embedded,raw_exec,docker" help:"Back ends: embedded, and Nomad's drivers raw_exec and docker (needs root, and Debian's docker.io)."`
}

// Run times what a request to a cold model waits for besides its engine: embedded, against the engine's own word, and on Nomad against the same
// job submitted by hand.
func (c *activationCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	r := report{Scenario: "activation of a model whose engine loads nothing"}
	for _, on := range c.On {
		measure := c.embedded
		if on != "embedded" {
			measure = func(ctx context.Context, s *stage) ([]finding, error) { return c.onNomad(ctx, s, on) }
		}
		found, err := measure(ctx, s)
		if err != nil {
			return fmt.Errorf("on %s: %w", on, err)
		}
		r.Findings = append(r.Findings, found...)
	}
	return r.write(o)
}

// embedded times, for each cold start, a client's first byte to the held request at the engine, less what the engine took from the start of
// its program, its loading included, to its listening.
func (c *activationCmd) embedded(ctx context.Context, s *stage) ([]finding, error) {
	told, err := listenReports()
	if err != nil {
		return nil, err
	}
	server, err := s.pilotlight(ctx, `idle_after = "100ms"`, "--report", told.addr())
	if err != nil {
		return nil, err
	}
	var added, all []float64
	for i := range c.Runs + 1 {
		one, err := server.dial()
		if err != nil {
			return nil, err
		}
		sent := time.Now()
		if _, err := one.conn.Write(server.request(fmt.Sprintf("tag=%d", i), false)); err != nil {
			return nil, fmt.Errorf("sending a request: %w", err)
		}
		listening, err := told.next("listening")
		if err != nil {
			return nil, err
		}
		request, err := told.next("request")
		if err != nil {
			return nil, err
		}
		one.conn.Close()
		if err := server.awaitCold(ctx); err != nil {
			return nil, err
		}
		born, err := strconv.ParseInt(listening.tag, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading when the engine began: %w", err)
		}
		if i == 0 {
			continue // the program was not in memory yet
		}
		took := request.at.Sub(sent)
		all = append(all, millis(took))
		added = append(added, millis(took-listening.at.Sub(time.Unix(0, born))))
	}
	return append(spread("embedded: request sent to request at the engine", all),
		spread("embedded: the same, less the engine's own start", added)...), nil
}

// spread gives the median and the 95th percentile of a sample in ms.
func spread(name string, sample []float64) []finding {
	half := summarize(name, "ms", sample)
	tail := half
	tail.Name, tail.Median = name+", p95", quantileOf(sample, 0.95)
	return []finding{half, tail}
}

// onNomad starts a cluster and a server on it, and has a model activated by a request and the same job submitted by hand, in turns.
func (c *activationCmd) onNomad(ctx context.Context, s *stage, driver string) ([]finding, error) {
	fmt.Fprintln(os.Stderr, "starting Nomad and Consul; a machine's first time builds both, which takes some ten minutes each")
	site, err := cluster.Start(ctx, cluster.Config{Nodes: 1, Docker: driver == "docker"})
	if err != nil {
		return nil, err
	}
	s.cleanups = append(s.cleanups, func() {
		if err := site.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "benchmarks: stopping the cluster:", err)
		}
	})
	model, err := s.simulated(ctx, driver)
	if err != nil {
		return nil, err
	}
	server, err := s.serve(ctx, fmt.Sprintf("backend \"nomad\" {\n  addr = %q\n  consul {\n    addr = %q\n  }\n}\n%s", site.Nomad.Addr, site.Consul.Addr, model))
	if err != nil {
		return nil, err
	}
	hand := byHand{nomad: site.Nomad.Addr}
	if hand.text, err = s.render(ctx, server); err != nil {
		return nil, err
	}
	ours := byRequest{server: server, nomad: hand.nomad}
	samples := map[string][]steps{}
	for i := range c.Runs + 1 {
		fmt.Fprintf(os.Stderr, "%s, turn %d of %d\n", driver, i, c.Runs)
		turn := []struct {
			name string
			run  func(context.Context, int) (steps, error)
		}{{"ours", ours.run}, {"by hand", hand.run}}
		for _, k := range rand.Perm(len(turn)) {
			took, err := turn[k].run(ctx, i)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", turn[k].name, err)
			}
			if i > 0 { // nothing was in memory yet
				samples[turn[k].name] = append(samples[turn[k].name], took)
			}
			if err := idle(ctx, hand.nomad); err != nil {
				return nil, err
			}
		}
	}
	return compareSteps(driver, samples["ours"], samples["by hand"]), nil
}

// simulated is a model whose engine is the simulator and takes no time at all.
func (s *stage) simulated(ctx context.Context, driver string) (string, error) {
	block := `engine "trtllm" {
    driver  = "docker"
    weights = "none"`
	if driver == "raw_exec" {
		sim := filepath.Join(s.dir, "trtsim")
		if err := s.buildSimulator(ctx, sim); err != nil {
			return "", err
		}
		block = fmt.Sprintf("engine \"sim\" {\n    driver  = \"raw_exec\"\n    command = [%q]", sim)
	}
	return fmt.Sprintf(`model "bench" {
  gpus       = 1
  idle_after = "100ms"
  %s
    args    = ["--sim-load-time", "0s", "--sim-token-time", "1us"]
    memory  = "1GiB"
  }
}
`, block), nil
}

// buildSimulator builds the simulated engine as a program of its own.
func (s *stage) buildSimulator(ctx context.Context, path string) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/pilotlight-io/pilotlight/cmd/trtsim")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the simulator: %w\n%s", err, out)
	}
	return nil
}

// render gives the job that the server submits.
func (s *stage) render(ctx context.Context, server *pilotlight) (string, error) {
	cmd := exec.CommandContext(ctx, s.binary, "job", "render", "bench", "--config", server.config)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("rendering the job: %w", err)
	}
	return string(text), nil
}

// byRequest activates the model by a request.
type byRequest struct {
	server *pilotlight
	nomad  string
	cursor string // of the usage records seen
}

func (b *byRequest) run(ctx context.Context, _ int) (steps, error) {
	if err := b.server.warm(); err != nil {
		return steps{}, err
	}
	record, err := b.record(ctx)
	if err != nil {
		return steps{}, err
	}
	var list struct {
		Activations []struct {
			EndedAt *time.Time `json:"ended_at"`
			Failure string
		}
	}
	if err := b.server.get(ctx, "/api/activations", &list); err != nil {
		return steps{}, err
	}
	if len(list.Activations) == 0 || list.Activations[0].EndedAt == nil || list.Activations[0].Failure != "" {
		return steps{}, fmt.Errorf("the server tells of no activation that has ended well: %+v", list.Activations)
	}
	job := "pilotlight-default-bench-" + record.Instance
	t, err := readTimes(ctx, b.nomad, job)
	if err != nil {
		return steps{}, err
	}
	return t.steps(record.ReceivedAt, *list.Activations[0].EndedAt, record.DispatchedAt), b.server.awaitCold(ctx)
}

type usageRecord struct {
	ID           string
	Instance     string
	Start        string
	ReceivedAt   time.Time `json:"received_at"`
	DispatchedAt time.Time `json:"dispatched_at"`
}

// record waits for the usage record of the request just answered.
func (b *byRequest) record(ctx context.Context) (usageRecord, error) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var page struct{ Records []usageRecord }
		if err := b.server.get(ctx, "/api/usage/records?org=bench&limit=100&cursor="+url.QueryEscape(b.cursor), &page); err != nil {
			return usageRecord{}, err
		}
		if n := len(page.Records); n > 0 {
			last := page.Records[n-1]
			b.cursor = last.ID
			if last.Start != "cold" {
				return last, fmt.Errorf("the request found the model %s, want cold", last.Start)
			}
			return last, nil
		}
	}
	return usageRecord{}, errors.New("no usage record within 30 s")
}

// awaitCold waits until the model is at zero again.
func (p *pilotlight) awaitCold(ctx context.Context) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		var model struct{ State string }
		if err := p.get(ctx, "/api/models/bench", &model); err != nil {
			return err
		}
		if model.State == "cold" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the model is %s long after its idle_after, want cold", model.State)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// encode is for bodies whose encoding cannot fail.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
