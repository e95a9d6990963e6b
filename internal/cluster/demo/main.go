//go:build unix

// Command demo runs the cluster of the tests for a person to play with: a real Nomad and a real Consul on loopback, with four nodes of
// eight simulated H100s.
//
//	go run ./internal/cluster/demo
//
// It writes a config file for `pilotlight serve` that offers the eight published models on that cluster, and prints what to type next. It
// runs until Ctrl-C, and then leaves nothing behind: no process, mount or file of its own, and no engine. It never touches a
// cluster that it did not start.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

type cli struct {
	Dir       string        `placeholder:"DIR" help:"Where everything is kept; it need not exist. A temporary directory if not given." type:"path"`
	Nodes     int           `default:"4" help:"Simulated machines."`
	GPUs      int           `name:"gpus" default:"8" help:"Simulated H100s of each."`
	SimSpeed  float64       `default:"20" help:"Simulated engines run that many times faster than life."`
	IdleAfter time.Duration `default:"1m" help:"A model that nobody has asked for so long goes back to zero."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("demo"), kong.UsageOnError())
	ctx, stop := untilTold()
	err := c.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run starts the cluster, prints what to do with it, and stops it when ctx is done.
func (c *cli) run(ctx context.Context) (err error) {
	p, err := newPlace(c.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.clear()) }()
	fmt.Fprintf(os.Stderr, "starting Consul, Nomad and %d nodes; on a machine's first time both are built, which takes some ten minutes each\n", c.Nodes)
	if err := p.build(ctx); err != nil {
		return err
	}
	running, err := cluster.Start(ctx, cluster.Config{Dir: p.join("cluster"), Nodes: c.Nodes, GPUs: c.GPUs, WellKnown: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.Stop()) }()
	if err := c.furnish(p, running); err != nil {
		return err
	}
	<-ctx.Done()
	fmt.Fprintln(os.Stderr, "stopping everything")
	return nil
}

// untilTold gives a context that ends with a signal, or when whoever started us has ended: `go run` passes no signal on.
func untilTold() (ctx context.Context, stop func()) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	parent := os.Getppid()
	var watch sync.WaitGroup
	watch.Go(func() {
		look := time.NewTicker(time.Second)
		defer look.Stop()
		for os.Getppid() == parent {
			select {
			case <-look.C:
			case <-ctx.Done():
				return
			}
		}
		cancel()
	})
	return ctx, func() {
		cancel()
		watch.Wait()
	}
}
