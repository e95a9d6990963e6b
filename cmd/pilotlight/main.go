// Command pilotlight is the whole of Pilotlight in one binary: the server (dev, serve), the commands that talk to a
// running server through its admin API, and the simulated engine that dev starts as a child process.
//
// It is the only place that wires the packages together. It promises: data on stdout and talk on stderr; one clear line
// for whatever goes wrong, with what would be right; exit status 0 when it did what was asked, 1 when it did not (bad
// flags included), and 2 when it did, and what it watched for went wrong (the activation that `model start --wait`
// showed has failed). It never writes colour, never prompts, and never keeps state of its own: what it knows is in the
// data directory or in the server.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], osEnv())) }

// cli is the command line, one field a command. Its order is that of the help.
type cli struct {
	Dev      devCmd      `cmd:"" help:"Run everything on this machine: router, embedded back end, simulated engines."`
	Serve    serveCmd    `cmd:"" help:"Run the router and control plane from a config file."`
	Org      orgCmd      `cmd:"" help:"Organisations: who pays."`
	Token    tokenCmd    `cmd:"" help:"Tokens: what callers authenticate with."`
	Model    modelCmd    `cmd:"" help:"Models: what is hot, and why."`
	Pool     poolCmd     `cmd:"" help:"Pools: GPUs that models share."`
	Orphans  orphansCmd  `cmd:"" help:"What runs and is in nobody's care."`
	Usage    usageCmd    `cmd:"" help:"Usage and cost of a month, in UTC."`
	Invoice  invoiceCmd  `cmd:"" help:"Invoices of months, and whether they are true."`
	Correct  correctCmd  `cmd:"" help:"Take something off what a usage record costs."`
	Webhook  webhookCmd  `cmd:"" help:"Webhooks: endpoints that are sent usage and notices."`
	Store    storeCmd    `cmd:"" help:"The store of usage records."`
	Config   configCmd   `cmd:"" help:"Config files."`
	Job      jobCmd      `cmd:"" help:"Nomad jobs."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
	Slot     slotCmd     `cmd:"" help:"Supervise the engines of a pool's Nomad allocation."`
	Simulate simulateCmd `cmd:"" help:"Run policies over a trace in virtual time; no server needed."`
	Bench    benchCmd    `cmd:"" help:"Measure a server from its callers' side; any that speaks the OpenAI API."`
}

// run parses args, runs the command and gives the exit status. The hidden command trtsim is handled before the parser,
// because its command line is that of trtllm-serve and none of kong's business.
func run(ctx context.Context, args []string, env *Env) int {
	if len(args) > 0 && args[0] == "trtsim" {
		return trtsim.Main(args[1:], env.Stdout, env.Stderr)
	}
	var (
		c        cli
		helped   bool
		helpCode int
	)
	parser, err := kong.New(&c,
		kong.Name("pilotlight"),
		kong.Description("A scale-to-zero runtime for LLM inference."),
		kong.Writers(env.Stdout, env.Stderr),
		kong.Exit(func(code int) { helped, helpCode = true, code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"default_addr": defaultAdminURL, "default_api": defaultAPIURL},
	)
	if err != nil {
		panic(err) // the tags above are wrong
	}
	kctx, err := parser.Parse(args)
	if helped {
		return helpCode
	}
	if err != nil {
		return env.fail("", fmt.Errorf("%w; see %s --help", err, commandOf(err)))
	}
	env.ctx = ctx
	env.command = kctx.Command()
	if err := kctx.Run(env); err != nil {
		return env.fail(commandName(kctx), err)
	}
	return 0
}

// commandOf names the command whose flags a parse error is about, as far as the parser got.
func commandOf(err error) string {
	name := "pilotlight"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if c := commandName(parse.Context); c != "" {
			name += " " + c
		}
	}
	return name
}

// commandName is the command without its arguments, such as "token create".
func commandName(kctx *kong.Context) string {
	name := ""
	for _, p := range kctx.Path {
		if p.Command != nil {
			if name != "" {
				name += " "
			}
			name += p.Command.Name
		}
	}
	return name
}
