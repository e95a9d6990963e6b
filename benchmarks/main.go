// Command benchmarks measures Pilotlight from outside, over HTTP, like any client: one scenario a command, each on the
// real binary, with its embedded back end unless it says otherwise, and each that names a ratio beside nginx in the same run.
//
// It never measures in-process code itself (that is what the Go benchmarks beside the code are for: scale has them run), never talks to anything but
// loopback, and never stores a result by itself: --out names the file.
//
//	go run ./benchmarks json        CPU per small request, against nginx
//	go run ./benchmarks peers       the same beside HAProxy and Caddy, too
//	go run ./benchmarks latency     added latency at concurrency 1
//	go run ./benchmarks sse         CPU per streamed event, against nginx
//	go run ./benchmarks held        memory and idle CPU of 10,000 held requests
//	go run ./benchmarks consoles    CPU per small request with 200 pages of the console open, and with none
//	go run ./benchmarks departure   client gone to seen, and to engine told
//	go run ./benchmarks release     engine ready to first held request sent to it
//	go run ./benchmarks drain       live streams at SIGTERM that complete
//	go run ./benchmarks activation  what an activation adds: embedded, and on a real Nomad and Consul
//	go run ./benchmarks scale       what the core costs at 100, 1,000 and 10,000 instances
//	go run ./benchmarks fairness    an honest organisation beside one that hoards
//	go run ./benchmarks ledger      reads of ten million usage records while more arrive
//	go run ./benchmarks extend      a longer trace of a trace, with a daily profile and models that rise together
//	go run ./benchmarks compare REV the Go benchmarks of REV and of the working tree, in turns
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/alecthomas/kong"
)

type options struct {
	Pairs   int           `default:"7" help:"Repetitions; each runs every target once, in random order."`
	Window  time.Duration `default:"3s" help:"How long one target runs in one repetition."`
	Binary  string        `help:"The pilotlight program to measure (default: built from this checkout)." type:"path"`
	Against string        `help:"Another pilotlight program, of an earlier version say, to be measured in turns with it (json, latency and sse)." type:"path"`
	Out     string        `help:"Also write the report as JSON to this file." type:"path"`
}

type cli struct {
	options

	JSON       jsonCmd       `cmd:"" help:"CPU per small JSON request, against nginx."`
	Latency    latencyCmd    `cmd:"" help:"Added latency of a small JSON request at concurrency 1."`
	Peers      peersCmd      `cmd:"" help:"A small JSON request through Pilotlight and through nginx, HAProxy and Caddy."`
	SSE        sseCmd        `cmd:"" name:"sse" help:"CPU per streamed event, against nginx."`
	Held       heldCmd       `cmd:"" help:"Memory and idle CPU of requests held for a cold model."`
	Consoles   consolesCmd   `cmd:"" help:"CPU per small request with many pages of the console open, and with none."`
	Departure  departureCmd  `cmd:"" help:"Time from a client's leaving to its place freed and its engine told."`
	Release    releaseCmd    `cmd:"" help:"Time from an engine's readiness to its first held request."`
	Drain      drainCmd      `cmd:"" help:"Live streams that complete after SIGTERM."`
	Activation activationCmd `cmd:"" help:"Time from a cold request to its dispatch, beyond the engine's own start."`
	Scale      scaleCmd      `cmd:"" help:"What the core costs at 100, 1,000 and 10,000 instances, by the Go benchmarks beside its code."`
	Fairness   fairnessCmd   `cmd:"" help:"First tokens of an honest organisation beside one that hoards what both share."`
	Ledger     ledgerCmd     `cmd:"" help:"Reads of many usage records while more arrive, by the Go benchmark beside the ledger."`
	Extend     extendCmd     `cmd:"" help:"Two weeks with a daily profile and models that rise together, made of a trace of one week."`
	Compare    compareCmd    `cmd:"" help:"The Go benchmarks of two revisions, in turns, and what benchstat makes of them."`
	Engine     engineCmd     `cmd:"" hidden:"" help:"The fake engine that the scenarios drive."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("benchmarks"), kong.BindTo(ctx, (*context.Context)(nil)), kong.UsageOnError())
	if err := k.Run(&c.options); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		stop()
		os.Exit(1)
	}
}

// finding is one measured figure. Goal is empty where a figure has none.
type finding struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
	Goal   string  `json:"goal,omitempty"`
}

type report struct {
	Scenario string    `json:"scenario"`
	Machine  string    `json:"machine"`
	Go       string    `json:"go"`
	Date     string    `json:"date,omitempty"`
	Note     string    `json:"note,omitempty"` // what the figures do not show
	Findings []finding `json:"findings"`
}

// write prints the report as a table and, where asked, as JSON.
func (r *report) write(o *options) error {
	r.Machine, r.Go = machine()
	fmt.Printf("%s (%s, %s)\n", r.Scenario, r.Machine, r.Go)
	if r.Note != "" {
		fmt.Println("  " + r.Note)
	}
	for _, f := range r.Findings {
		fmt.Printf("  %-52s %10.3f %-4s [%.3f - %.3f] n=%d  %s\n", f.Name, f.Median, f.Unit, f.Min, f.Max, f.N, f.Goal)
	}
	if o.Out == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.WriteFile(o.Out, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
