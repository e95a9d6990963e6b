package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// scaleCmd has the Go benchmarks of the core run that make a fleet of 100, 1,000 and 10,000 instances, each beside the code that it measures, and puts
// their figures into one table. It measures nothing itself.
type scaleCmd struct {
	Runs    int    `default:"5" help:"Repetitions of each benchmark."`
	Only    string `default:"." help:"Only the benchmarks whose name matches this expression: Step, NodeStep, List, Acquire, Memory or Request; with --servers Leader, Shares or Sharing."`
	Servers bool   `help:"The benchmarks of several servers instead."`
}

const module = "github.com/pilotlight-io/pilotlight/"

// scaleBenchmarks are the benchmarks, and how often each does what it measures in one repetition.
var scaleBenchmarks = []struct {
	name, of, times string
	servers         bool // of several servers
}{
	{"Step", "activator/plan", "2000x", false},
	{"NodeStep", "activator/plan", "2000x", false},
	{"List", "activator/plan", "200x", false},
	{"Memory", "activator/plan", "1x", false},
	{"Acquire", "activator", "5000x", false},
	{"Request", "internal/simulate", "1x", false},
	{"Leader", "activator/plan", "2000x", true},
	{"Shares", "activator/plan", "1x", true},
	{"Sharing", "activator", "1x", true},
}

const scaleNote = "one process, on made-up fleets: no back end, no network, no HTTP; every model has ten instances of one GPU, and events come one at a time. " +
	"cpu-us is what the measured thread has used, and what has a goal where it is there; us is the clock's, with whatever else the machine does meanwhile."

const serversNote = "one process, on made-up fleets of models with ten instances of one GPU and four places: no back end, no HTTP; what servers say to each other is written out as JSON and read again. " +
	"cpu-us of an event is of the thread that leads, of a lease of the whole process."

func (c *scaleCmd) Run(ctx context.Context, o *options) error {
	only, err := regexp.Compile(c.Only)
	if err != nil {
		return fmt.Errorf("reading --only: %w", err)
	}
	s := scaleFigures{samples: make(map[string][]float64)}
	for _, b := range scaleBenchmarks {
		if b.servers != c.Servers || !only.MatchString(b.name) {
			continue
		}
		for range c.Runs {
			out, err := goBenchmark(ctx, b.of, "Scale_"+b.name, b.times)
			if err != nil {
				return err
			}
			s.read(out)
		}
	}
	r := report{Scenario: "the core at 100, 1,000 and 10,000 instances", Note: scaleNote, Findings: s.findings()}
	if c.Servers {
		r.Scenario, r.Note = "the core of 1, 4 and 16 servers", serversNote
	}
	return r.write(o)
}

// goBenchmark has one of the Go benchmarks beside the code run, and gives what it prints. env sizes it.
func goBenchmark(ctx context.Context, of, name, times string, env ...string) ([]byte, error) {
	run := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark"+name+"$", "-benchtime", times, "-timeout", "60m", module+of)
	run.Env, run.Stderr = append(os.Environ(), env...), os.Stderr
	out, err := run.Output()
	if err != nil {
		return nil, fmt.Errorf("running %s of %s: %w\n%s", name, of, err, out)
	}
	return out, nil
}

// scaleFigures are the figures of all benchmarks, in the order in which they came.
type scaleFigures struct {
	names   []string
	samples map[string][]float64 // name and unit -> a figure of each repetition
}

// read takes what `go test -bench` prints.
func (s *scaleFigures) read(out []byte) {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		name, is := strings.CutPrefix(strings.Join(fields[:min(1, len(fields))], ""), "BenchmarkScale_")
		if !is {
			continue
		}
		if k := strings.LastIndexByte(name, '-'); k > 0 {
			name = name[:k] // the number of CPUs
		}
		for k := 2; k+1 < len(fields); k += 2 {
			if figure, err := strconv.ParseFloat(fields[k], 64); err == nil && fields[k+1] != "ns/op" {
				s.add(name+" "+fields[k+1], figure)
			}
		}
	}
}

func (s *scaleFigures) add(name string, figure float64) {
	if s.samples[name] == nil {
		s.names = append(s.names, name)
	}
	s.samples[name] = append(s.samples[name], figure)
}

func (s *scaleFigures) findings() []finding {
	for _, c := range [][3]string{
		{"Request/8000 cpu-us/request", "Request/1000 cpu-us/request", "Request: 8,000 models / 1,000 x"},
		{"Leader/back/servers=16/10000 p50-cpu-us", "Leader/back/servers=16/1000 p50-cpu-us", "Leader, back, 16 servers: 10,000 instances / 1,000 x"},
		{"Leader/replaced/servers=16/10000 p50-cpu-us", "Leader/replaced/servers=16/1000 p50-cpu-us", "Leader, replaced, 16 servers: 10,000 instances / 1,000 x"},
		{"Leader/second/servers=16/10000 p50-cpu-us", "Leader/second/servers=16/1000 p50-cpu-us", "Leader, second, 16 servers: 10,000 instances / 1,000 x"},
		{"Shares/full/servers=4 %", "Shares/full/servers=1 %", "Shares, full: 4 servers / 1 x"},
		{"Shares/uneven/servers=4 %", "Shares/uneven/servers=1 %", "Shares, uneven: 4 servers / 1 x"},
		{"Sharing/servers=4 cpu-us/lease", "Sharing/servers=1 cpu-us/lease", "Sharing: CPU of a lease, 4 servers / 1 x"},
		{"Sharing/servers=4 leases/s", "Sharing/servers=1 leases/s", "Sharing: leases a second on these cores, 4 servers / 1 x"},
	} {
		s.compare(c[0], c[1], c[2])
	}
	var all []finding
	for _, name := range s.names {
		what, unit := name[:strings.LastIndexByte(name, ' ')], name[strings.LastIndexByte(name, ' ')+1:]
		if quantile, of, found := strings.Cut(unit, "-"); found && strings.HasPrefix(quantile, "p") {
			what, unit = what+" "+quantile, of
		}
		all = append(all, summarize(what, unit, s.samples[name]))
	}
	return all
}

// compare adds the ratio of two figures of the same repetition.
func (s *scaleFigures) compare(a, b, name string) {
	for k := range min(len(s.samples[a]), len(s.samples[b])) {
		s.add(name, s.samples[a][k]/s.samples[b][k])
	}
}
