package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/bench"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// benchLoadCmd loads one model with requests of one kind.
type benchLoadCmd struct {
	Model    string  `required:"" complete:"model" placeholder:"ID" help:"The model that is asked."`
	Rate     float64 `placeholder:"N" help:"Requests a second, each sent at its own time (an open loop)."`
	Arrivals string  `enum:"constant,poisson,bursty" default:"poisson" help:"Of --rate: constant, poisson or bursty."`
	CV       float64 `name:"cv" default:"3" help:"Of bursty arrivals: standard deviation of the gaps over their mean."`
	AtOnce   int     `name:"concurrency" placeholder:"N" help:"Without --rate: so many requests always under way (a closed loop). With it: so many at most."`
	Requests int     `placeholder:"N" help:"End after so many."`
	For      span    `placeholder:"30s" help:"Send nothing later than this; 30s if neither --requests nor this is given."`
	Warmup   int     `placeholder:"N" help:"Of the first so many requests nothing is kept."`
	Input    int     `name:"input-tokens" default:"500" help:"Words of a prompt: about as many tokens."`
	Output   int     `name:"output-tokens" default:"100" help:"Tokens of an answer at most."`
	benchFlags
}

// Run loads the server and reports.
func (c benchLoadCmd) Run(env *Env) error {
	if err := c.check(); err != nil {
		return err
	}
	client, err := c.client(env)
	if err != nil {
		return err
	}
	like := bench.Request{Model: c.Model, Input: c.Input, Output: c.Output}
	cfg := bench.Config{Closed: c.Rate == 0, AtOnce: c.AtOnce, For: time.Duration(c.For), Warmup: c.Warmup, Plan: bench.Repeat(like, nil)}
	if !cfg.Closed {
		arrivals, err := bench.NewArrivals(c.Arrivals, c.Rate, c.CV, c.Seed)
		if err != nil {
			return err
		}
		cfg.Plan = bench.Repeat(like, arrivals)
	}
	if c.Requests > 0 {
		cfg.Plan = bench.First(c.Requests, cfg.Plan)
	} else if cfg.For == 0 {
		cfg.For = 30 * time.Second
	}
	return c.drive(env, client, c.measurement(env, client, "load", c.load(), c.Model), cfg)
}

func (c *benchLoadCmd) check() error {
	switch {
	case c.Rate == 0 && c.AtOnce < 1:
		return errors.New("neither --rate nor --concurrency is given; write --rate 10 for ten requests a second, or --concurrency 8 for eight at once")
	case c.Rate < 0 || c.AtOnce < 0 || c.Requests < 0 || c.Warmup < 0 || c.For < 0:
		return errors.New("--rate, --concurrency, --requests, --for and --warmup are never below 0")
	case c.Input < 1 || c.Input > mostTokens || c.Output < 1 || c.Output > mostTokens:
		return fmt.Errorf("--input-tokens and --output-tokens are from 1 to %d", mostTokens)
	}
	return nil
}

const mostTokens = 10_000_000

// load says in words what is sent.
func (c *benchLoadCmd) load() string {
	said := fmt.Sprintf("%d at once, each after the one before it", c.AtOnce)
	if c.Rate > 0 {
		said = fmt.Sprintf("%s, %v a second", c.Arrivals, c.Rate)
		if c.Arrivals == bench.ArriveBursty {
			said += fmt.Sprintf(", variation %v", c.CV)
		}
		if c.AtOnce > 0 {
			said += fmt.Sprintf(", %d at once at most", c.AtOnce)
		}
	}
	return fmt.Sprintf("%s; %d words in, at most %d tokens out, seed %d", said, c.Input, c.Output, c.Seed)
}

// benchReplayCmd sends the requests of a trace.
type benchReplayCmd struct {
	Trace   string            `required:"" type:"path" complete:"file" placeholder:"T.csv.gz" help:"The requests, as a gzipped CSV (t_ms,model,input_tokens,output_tokens)."`
	Models  string            `type:"path" complete:"file" placeholder:"FILE" help:"The trace's models; T_models.csv beside the trace if not given."`
	From    span              `placeholder:"24h" help:"Leave out what arrives before."`
	For     span              `placeholder:"10m" help:"And what arrives so long after --from, in the trace's time."`
	Speed   float64           `default:"1" help:"Divides the gaps between requests."`
	As      map[string]string `placeholder:"TRACE=MODEL" help:"Ask this model in place of the trace's; repeatable."`
	AsModel string            `name:"model" complete:"model" placeholder:"ID" help:"Ask this one in place of all that --as does not name."`
	Most    int               `name:"output-tokens" placeholder:"N" help:"Tokens of an answer at most; what the trace says if not given."`
	AtOnce  int               `name:"concurrency" placeholder:"N" help:"So many requests under way at most; what waits for it counts as latency."`
	benchFlags
}

// Run replays the trace and reports.
func (c benchReplayCmd) Run(env *Env) error {
	if c.Models == "" {
		c.Models = trace.ProfilesBeside(c.Trace)
	}
	profiles, err := trace.ReadProfiles(c.Models)
	if err != nil {
		return err
	}
	reader, err := trace.Open(c.Trace, profiles)
	if err != nil {
		return err
	}
	defer reader.Close()
	replay := bench.Replay{From: time.Duration(c.From), For: time.Duration(c.For), Speed: c.Speed, Rename: c.As, Output: c.Most}
	if c.AsModel != "" {
		replay.Rename = maps.Clone(c.As)
		if replay.Rename == nil {
			replay.Rename = make(map[string]string)
		}
		replay.Rename[""] = c.AsModel
	}
	plan, err := replay.Plan(reader, profiles)
	if err != nil {
		return err
	}
	client, err := c.client(env)
	if err != nil {
		return err
	}
	return c.drive(env, client, c.measurement(env, client, "replay", c.load(), slices.Compact(slices.Sorted(slices.Values(replay.Names(profiles))))...), bench.Config{Plan: plan, AtOnce: c.AtOnce})
}

func (c *benchReplayCmd) load() string {
	said := []string{"trace " + c.Trace[strings.LastIndexByte(c.Trace, '/')+1:]}
	if c.From > 0 {
		said = append(said, "from "+time.Duration(c.From).String())
	}
	if c.For > 0 {
		said = append(said, "for "+time.Duration(c.For).String())
	}
	if c.Speed != 1 {
		said = append(said, fmt.Sprintf("%v times as fast", c.Speed))
	}
	for _, from := range slices.Sorted(maps.Keys(c.As)) {
		said = append(said, from+" as "+c.As[from])
	}
	return strings.Join(append(said, fmt.Sprintf("seed %d", c.Seed)), ", ")
}
