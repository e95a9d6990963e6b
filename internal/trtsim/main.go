package trtsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Main is the command line of the simulator: `trtsim MODEL --host H --port P …`, that of trtllm-serve. It returns the
// exit status: 0 after --help, 1 after a failure, 2 after a wrong command line, 128 + n after it drained on signal n.
//
// It takes over SIGINT and SIGTERM of the whole process: until the model is loaded they end it at once, as they end the real server.
func Main(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if err == nil && o.help {
		printHelp(stdout)
		return 0
	}
	if err == nil {
		err = o.finish(os.Getenv)
	}
	if err == nil {
		_, err = o.config.withDefaults()
	}
	if err != nil {
		fmt.Fprintf(stderr, "Usage: trtsim [OPTIONS] MODEL\nTry 'trtsim --help' for help.\n\nError: %v\n", err)
		return 2
	}
	o.config.Log = slog.New(slog.NewTextHandler(stderr, nil))
	status, err := o.run()
	if err != nil {
		fmt.Fprintf(stderr, "trtsim: %v\n", err)
	}
	return status
}

func printHelp(w io.Writer) {
	fmt.Fprintf(w, "Usage: trtsim [serve|embeddings] [OPTIONS] MODEL\n\n  A simulated trtllm-serve: its HTTP API, delays and failures, without a GPU.\n\nOptions:\n")
	for _, op := range allOptions() {
		var names []string
		for _, name := range op.names {
			if strings.HasPrefix(name, "sim_") {
				name = strings.ReplaceAll(name, "_", "-")
			}
			names = append(names, "--"+name)
		}
		fmt.Fprintf(w, "  %s %s\n        %s\n", strings.Join(names, ", "), op.value, op.help)
	}
}

// run binds, loads, listens and serves, in this order: a clash of ports ends the process before the load, and connections are refused until
// the load is over.
func (o *options) run() (status int, err error) {
	signal.Reset(syscall.SIGINT, syscall.SIGTERM)
	e, err := New(o.config)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	bound, err := bind(o.host, o.port)
	if err != nil {
		return 1, fmt.Errorf("RuntimeError: Failed to bind socket to %s:%d: %w", o.host, o.port, err)
	}
	if o.reportAddr != "" {
		if err := writeAtomically(o.reportAddr, bound.addr); err != nil {
			return 1, errors.Join(err, bound.close())
		}
	}
	if err := e.Load(context.Background()); err != nil {
		return 1, errors.Join(err, bound.close())
	}
	return o.serve(e, bound)
}

// serve runs the loaded engine until a signal or a death.
func (o *options) serve(e *Engine, bound *binding) (int, error) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	ln, err := bound.listen()
	if err != nil {
		return 1, fmt.Errorf("listening on %s: %w", bound.addr, err)
	}
	o.config.Log.Info("simulated engine listens", "addr", bound.addr)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	served := make(chan error, 1)
	wg.Go(func() { served <- e.Serve(ctx, ln) })
	status := 0
	for {
		select {
		case sig := <-signals:
			if status != 0 && sig == os.Interrupt {
				e.die(ErrDied) // the second interrupt does not wait for requests
			} else if status == 0 {
				status = 128 + int(sig.(syscall.Signal))
				o.config.Log.Info("shutting down", "signal", sig.String())
				cancel()
			}
		case err := <-served:
			return exitStatus(status, err)
		}
	}
}

// exitStatus says how the process ends after Serve.
func exitStatus(signaled int, err error) (int, error) {
	switch {
	case signaled != 0:
		return signaled, nil
	case errors.Is(err, ErrInterrupted):
		return 128 + int(syscall.SIGINT), nil
	}
	return 1, err
}

// writeAtomically writes a file that a reader sees whole or not at all.
func writeAtomically(name, content string) error {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("writing the address: %w", err)
	}
	_, err = file.WriteString(content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing the address: %w", err), os.Remove(file.Name()))
	}
	return nil
}
