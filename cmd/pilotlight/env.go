package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Env is what a command may touch of the world outside its flags.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer // data
	Stderr io.Writer // talk
	Getenv func(string) string
	Now    func() time.Time
	// Progress says that Stderr is a terminal, where a line may be written over. Off one, progress is plain lines.
	Progress bool
	// Signals delivers what asks the process to end: the first drains, the second ends it at once.
	Signals func() (<-chan os.Signal, func())
	// Hangups delivers what asks a server to read its config anew.
	Hangups func() (<-chan os.Signal, func())

	ctx      context.Context // of the command that runs
	progress *progress       // what is shown while it runs; nil = nothing is
	tokenOf  string          // where the token of client is from: a variable or a file
	client   *admin.Client   // of the server that it has talked to; nil = none
}

// osEnv is the environment of the process.
func osEnv() *Env {
	return &Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv:   os.Getenv,
		Now:      time.Now,
		Progress: isatty.IsTerminal(os.Stderr.Fd()),
		Signals:  func() (<-chan os.Signal, func()) { return notified(2, os.Interrupt, syscall.SIGTERM) },
		Hangups:  func() (<-chan os.Signal, func()) { return notified(1, syscall.SIGHUP) },
	}
}

// notified delivers signals, of which so many are kept for whoever is busy.
func notified(kept int, signals ...os.Signal) (<-chan os.Signal, func()) {
	c := make(chan os.Signal, kept)
	signal.Notify(c, signals...)
	return c, func() { signal.Stop(c) }
}

// exitError is an error with an exit status other than 1.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// fail says on stderr why the command did not do what was asked, a line each reason, and gives the exit status.
func (e *Env) fail(command string, err error) int {
	name := strings.TrimSpace("pilotlight " + command)
	for line := range strings.Lines(said(err)) {
		fmt.Fprintf(e.Stderr, "%s: %s\n", name, strings.TrimRight(line, "\n"))
	}
	var exit exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return 1
}

// said is an error as people read it: of what a server has refused without the status and the code, which are for programs.
func said(err error) string {
	var refused *openai.Error
	if errors.As(err, &refused) && refused.Status < 500 {
		return strings.Replace(err.Error(), refused.Error(), refused.Message, 1)
	}
	return err.Error()
}

// say writes a line of talk to stderr.
func (e *Env) say(format string, args ...any) {
	fmt.Fprintf(e.Stderr, format+"\n", args...)
}
