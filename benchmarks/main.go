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
//	go run ./benchmarks abuse       first tokens beside a held herd, a crowd of streams and bad clients
//	go run ./benchmarks ledger      reads of ten million usage records while more arrive
//	go run ./benchmarks soak        memory, goroutines and descriptors over two hours
//	go run ./benchmarks fuzz        every fuzz target for ten minutes
//	go run ./benchmarks extend      a longer trace of a trace, with a daily profile and models that rise together
//	go run ./benchmarks compare REV the Go benchmarks of REV and of the working tree, in turns
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

type options struct {
	Pairs   int           `default:"7" help:"Repetitions; each runs every target once, in random order."`
	Window  time.Duration `default:"3s" help:"How long one target runs in one repetition."`
	Binary  string        `help:"The pilotlight program to measure (default: built from this checkout)." type:"path"`
	Against string        `help:"Another pilotlight program, of an earlier version say, to be measured in turns with it (json, latency and sse)." type:"path"`
	Out     string        `help:"Also write the report as JSON to this file." type:"path"`

	command string // that runs
	step    *step  // of a scenario that runs; nil = a command by itself
	load    string // of the machine before it began
}

type cli struct {
	options

	Run       runCmd       `cmd:"" help:"Measure what a scenario's file says: one question, one command."`
	Scenarios scenariosCmd `cmd:"" help:"List the scenarios and their questions."`
	Pages     pagesCmd     `cmd:"" help:"Make the pages of benchmarks/results, and the README's table, of the reports that are there."`

	JSON       jsonCmd       `cmd:"" help:"CPU per small JSON request, against nginx."`
	Latency    latencyCmd    `cmd:"" help:"Added latency of a small JSON request at concurrency 1."`
	Peers      peersCmd      `cmd:"" help:"Small requests and streams through Pilotlight and through nginx, HAProxy, Caddy, net/http, sglang-router, vllm-router and LiteLLM."`
	SSE        sseCmd        `cmd:"" name:"sse" help:"CPU per streamed event, against nginx."`
	Held       heldCmd       `cmd:"" help:"Memory and idle CPU of requests held for a cold model."`
	Consoles   consolesCmd   `cmd:"" help:"CPU per small request with many pages of the console open, and with none."`
	Herd       herdCmd       `cmd:"" help:"A herd of requests for a cold model: held, let go, answered."`
	Bodies     bodiesCmd     `cmd:"" help:"Memory after large bodies."`
	Swap       swapCmd       `cmd:"" help:"Two parked models in turns on the same GPUs, beside the same parks and resumes by hand."`
	Prices     pricesCmd     `cmd:"" help:"The published price table, of real requests' receipts."`
	Policies   policiesCmd   `cmd:"" help:"What policies cost on the traces."`
	Servers    serversCmd    `cmd:"" help:"Several servers of one cluster under one load."`
	Departure  departureCmd  `cmd:"" help:"Time from a client's leaving to its place freed and its engine told."`
	Release    releaseCmd    `cmd:"" help:"Time from an engine's readiness to its first held request."`
	Drain      drainCmd      `cmd:"" help:"Live streams that complete after SIGTERM."`
	Activation activationCmd `cmd:"" help:"Time from a cold request to its dispatch, beyond the engine's own start."`
	Scale      scaleCmd      `cmd:"" help:"What the core costs at 100, 1,000 and 10,000 instances, by the Go benchmarks beside its code."`
	Fairness   fairnessCmd   `cmd:"" help:"First tokens of an honest organisation beside one that hoards what both share."`
	Abuse      abuseCmd      `cmd:"" help:"First tokens beside thousands of held requests, thousands of streams and bad clients, all at once."`
	Ledger     ledgerCmd     `cmd:"" help:"Reads of many usage records while more arrive, by the Go benchmark beside the ledger."`
	Soak       soakCmd       `cmd:"" help:"Memory, goroutines and descriptors over hours of all kinds of callers."`
	Fuzz       fuzzCmd       `cmd:"" help:"Every fuzz target that stands beside the code, for a while each."`
	Extend     extendCmd     `cmd:"" help:"Two weeks with a daily profile and models that rise together, made of a trace of one week."`
	Compare    compareCmd    `cmd:"" help:"The Go benchmarks of two revisions, in turns, and what benchstat makes of them."`
	NetHTTP    netHTTPCmd    `cmd:"" name:"net-http" hidden:"" help:"A router of Go's standard library, to measure beside."`
	Engine     engineCmd     `cmd:"" hidden:"" help:"The fake engine that the scenarios drive."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var c cli
	parser, err := newParser(ctx, &c)
	if err == nil {
		var k *kong.Context
		k, err = parser.Parse(os.Args[1:])
		parser.FatalIfErrorf(err)
		c.command, _, _ = strings.Cut(k.Command(), " ")
		c.load = loadAverage()
		err = k.Run(&c.options)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		stop()
		os.Exit(1)
	}
}
