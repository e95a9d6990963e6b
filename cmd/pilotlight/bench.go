package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/bench"
)

// benchCmd holds the commands that measure a server from its callers' side.
type benchCmd struct {
	Load      benchLoadCmd      `cmd:"" help:"Load a server at a rate, or with so many requests at once."`
	Replay    benchReplayCmd    `cmd:"" help:"Load a server with the requests of a trace, at their times."`
	Coldstart benchColdstartCmd `cmd:"" help:"Ask a model that is cold, then while it is hot, several times."`
	Report    benchReportCmd    `cmd:"" help:"Show a result, put results together, or hold one against another."`
	Join      benchJoinCmd      `cmd:"" help:"Tell starts from the model in what aiperf, guidellm, inference-perf or genai-perf has measured."`
}

// The variables that name the API and its token, in this order; the second of each is that of OpenAI's SDKs.
var (
	apiVariables   = []string{"PILOTLIGHT_API", "OPENAI_BASE_URL"}
	tokenVariables = []string{"PILOTLIGHT_TOKEN", "OPENAI_API_KEY"}
)

const defaultAPIURL = "http://127.0.0.1:8080/v1"

// apiFlags say which API is asked, and as whom.
type apiFlags struct {
	URL string `name:"url" placeholder:"URL" help:"Base URL of any OpenAI-compatible API; else $$PILOTLIGHT_API, else $$OPENAI_BASE_URL, else ${default_api}. The token is that of $$PILOTLIGHT_TOKEN, else of $$OPENAI_API_KEY, else dev's own on this machine."`
}

// config makes a client's config of the flags and the environment.
func (f apiFlags) config(env *Env) (bench.ClientConfig, error) {
	c := bench.ClientConfig{URL: cmp.Or(f.URL, env.Getenv(apiVariables[0]), env.Getenv(apiVariables[1]), defaultAPIURL), Endpoint: bench.EndpointChat}
	c.Token = cmp.Or(env.Getenv(tokenVariables[0]), env.Getenv(tokenVariables[1]))
	u, err := url.Parse(c.URL)
	if c.Token != "" || err != nil || !isLoopback(u.Hostname()) {
		return c, nil // what is wrong with the address says who connects to it
	}
	dir, err := resolveDataDir("", env)
	if err != nil {
		return c, err
	}
	c.Token, err = readSecret(filepath.Join(dir, devTokenFile))
	if errors.Is(err, os.ErrNotExist) {
		return c, nil // a server that wants none
	}
	return c, err
}

// benchFlags are those of all commands that send requests.
type benchFlags struct {
	apiFlags
	Endpoint string            `enum:"chat/completions,completions" default:"chat/completions" help:"chat/completions or completions."`
	Whole    bool              `help:"Ask for whole answers, not for streams: no first token, no gaps."`
	Header   map[string]string `placeholder:"NAME=VALUE" help:"Also send this header; repeatable."`
	Extra    string            `placeholder:"JSON" help:"Members that are added to each body, such as {\"ignore_eos\":true}."`
	Timeout  span              `default:"10m" help:"A request that takes longer has failed."`
	Seed     uint64            `default:"7" help:"Of prompts and arrivals: one seed gives one load."`
	SLO      string            `name:"slo" placeholder:"ttft=500ms,inter_token=50ms,e2e=10s" help:"What a good answer takes at most; one or more, for the goodput."`
	Out      string            `type:"path" complete:"file" placeholder:"FILE" help:"Also write the result as JSON, for bench report."`
	HTML     string            `name:"html" type:"path" complete:"file" placeholder:"FILE" help:"Also write a page with plots."`
	jsonFlag
}

// client makes the client of the flags. Its request IDs begin with a word of the run's own, so that receipts are found again.
func (f *benchFlags) client(env *Env) (*bench.Client, error) {
	c, err := f.config(env)
	if err != nil {
		return nil, err
	}
	c.Endpoint, c.Whole, c.Seed, c.Timeout = f.Endpoint, f.Whole, f.Seed, time.Duration(f.Timeout)
	c.Prefix = fmt.Sprintf("bench-%x-", env.Now().UnixNano())
	if f.Extra != "" {
		if err := json.Unmarshal([]byte(f.Extra), &c.Extra); err != nil {
			return nil, fmt.Errorf("--extra: %q is no JSON object: %w", f.Extra, err)
		}
	}
	c.Header = make(http.Header)
	for name, value := range f.Header {
		c.Header.Set(name, value)
	}
	return bench.NewClient(c)
}

// measurement describes a run that is about to begin.
func (f *benchFlags) measurement(env *Env, client *bench.Client, command, load string, models ...string) bench.Measurement {
	v := readVersion()
	return bench.Measurement{
		Command: command, URL: client.URL, Endpoint: f.Endpoint, Stream: !f.Whole, Models: models, Load: load, StartedAt: env.Now().UTC(),
		Machine: bench.Machine(), Version: strings.TrimSpace(v.Version + " " + v.Revision),
	}
}

// drive runs a load until it ends, or a signal ends it, and reports.
func (f *benchFlags) drive(env *Env, client *bench.Client, m bench.Measurement, c bench.Config) error {
	defer client.Close()
	slo, err := bench.ParseSLO(f.SLO)
	if err != nil {
		return fmt.Errorf("--slo: %w", err)
	}
	m.SLO = slo.String()
	collector := bench.NewCollector(m.StartedAt, slo)
	p := newBenchProgress(env, client)
	c.Sender = p
	c.Keep = func(s *bench.Sample) {
		collector.Add(s)
		p.keep(s)
	}
	err = benchUntilSignalled(env, func(run context.Context, stop <-chan struct{}) error {
		c.Stop = stop
		defer p.begin()()
		err := bench.Run(run, c)
		select {
		case <-stop:
			m.CutShort = true
		default:
		}
		return err
	})
	if err != nil {
		return err
	}
	end := env.Now()
	m.Seconds, m.Blocks = end.Sub(m.StartedAt).Seconds(), collector.Blocks(end)
	return f.report(env, &bench.Result{Runs: []bench.Measurement{m}})
}

// benchUntilSignalled runs a load. The first signal has it send no more, the second cuts off what is under way; it reports all the same.
func benchUntilSignalled(env *Env, run func(ctx context.Context, stop <-chan struct{}) error) error {
	ending := func() string { return "sending no more, waiting for answers" }
	err := untilSignalled(env, ending, func(stopped context.Context, hurry <-chan struct{}) error {
		ctx, cancel := context.WithCancelCause(context.WithoutCancel(stopped))
		defer cancel(nil)
		ended := make(chan struct{})
		watched := make(chan struct{})
		go func() { // ends with the run, which waits for it
			defer close(watched)
			select {
			case <-hurry:
				cancel(errSignalled)
			case <-ended:
			}
		}()
		err := run(ctx, stopped.Done())
		close(ended)
		<-watched
		return err
	})
	return err
}

// report prints a result, and writes it where the flags say.
func (f *benchFlags) report(env *Env, r *bench.Result) error {
	if f.Out != "" {
		if err := writeFile(f.Out, func(w *os.File) error { return r.Write(w) }); err != nil {
			return err
		}
	}
	return printResult(env, r, f.JSON, f.HTML)
}

// writeFile writes a file whole, or says why not.
func writeFile(path string, write func(*os.File) error) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	err = write(file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
