// Command pilotlight is the whole of Pilotlight in one binary: the server (dev, serve), the commands that talk to a
// running server through its admin API, and the simulated engine that dev starts as a child process.
//
// It is the only place that wires the packages together. It promises: data on stdout and talk on stderr; one clear line
// for whatever goes wrong, with what would be right; exit status 0 when it did what was asked, 1 when it did not (bad
// flags included), and 2 when it did, and what it watched for went wrong (the activation that `model start --wait`
// showed has failed). It writes colour on a terminal only, in `top`, and not where NO_COLOR is set; it never prompts, and
// never keeps state of its own: what it knows is in the data directory or in the server.
//
// The command line is one struct, and all that is said about it is made from that: the help, completion, the man pages,
// and what a mistyped name may have meant.
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

// run parses args, runs the command and gives the exit status. The hidden command trtsim is handled before the parser,
// because its command line is that of trtllm-serve and none of kong's business.
func run(ctx context.Context, args []string, env *Env) int {
	if len(args) > 0 && args[0] == "trtsim" {
		return trtsim.Main(args[1:], env.Stdout, env.Stderr)
	}
	if len(args) > 0 && args[0] == completeCommand {
		return complete(ctx, args[1:], env)
	}
	var helped bool
	var helpCode int
	parser := newParser(env, func(code int) { helped, helpCode = true, code })
	kctx, err := parser.Parse(args)
	if helped {
		return helpCode
	}
	if err != nil {
		return env.fail("", fmt.Errorf("%w; see %s --help", err, commandOf(err)))
	}
	env.ctx = ctx
	if err := env.during(func() error { return kctx.Run(env) }); err != nil {
		return env.fail(commandName(kctx), unauthorized(env, nearestNames(env, kctx.Selected(), err)))
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
