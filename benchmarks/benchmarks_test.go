package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestScenarios_Run runs each scenario in small. What it measures there means nothing; that it measures, and finds nothing lost, does.
func TestScenarios_Run(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the program; not in short runs")
	}
	dir := t.TempDir() + "/"
	build := exec.Command("go", "build", "-o", dir, ".", "github.com/pilotlight-io/pilotlight/cmd/pilotlight")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building both programs: %v\n%s", err, out)
	}
	for _, tt := range []struct {
		paired bool
		args   []string
	}{
		{true, []string{"json", "--concurrency", "2"}},
		{true, []string{"latency"}},
		{true, []string{"peers", "--concurrency", "2", "--streams", "3", "--events", "5", "--peers", "nginx,net/http,none"}},
		{true, []string{"sse", "--streams", "3", "--events", "5"}},
		{false, []string{"consoles", "--pages", "3"}},
		{false, []string{"held", "--requests", "20", "--watch", "200ms"}},
		{false, []string{"herd", "--requests", "20", "--load", "1s"}},
		{false, []string{"bodies", "--at-once", "2", "--rounds", "1", "--mb", "1"}},
		{false, []string{"swap", "--swaps", "2", "--fight", "1s"}},
		{false, []string{"departure", "--requests", "3"}},
		{false, []string{"release", "--starts", "2", "--load", "50ms"}},
		{false, []string{"drain", "--streams", "5"}},
		{false, []string{"fairness", "--hoarders", "2", "--heads", "5", "--bodies", "5", "--wrong", "5", "--settle", "100ms"}},
		{false, []string{"abuse", "--held", "30", "--streams", "20", "--each", "50ms", "--bad", "10", "--settle", "100ms"}},
		{false, []string{"activation", "--runs", "1"}},
		{false, []string{"scale", "--runs", "1", "--only", "Memory"}},
	} {
		t.Run(tt.args[0], func(t *testing.T) {
			if _, err := exec.LookPath("nginx"); err != nil && tt.paired {
				lacking(t, "nginx is not installed; on Debian: apt-get install nginx-light")
			}
			report := filepath.Join(t.TempDir(), "report.json")
			args := slices.Concat(tt.args, []string{"--pairs", "1", "--window", "300ms", "--binary", dir + "pilotlight", "--out", report})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if out, err := exec.CommandContext(ctx, dir+"benchmarks", args...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			checkReport(t, report)
		})
	}
}

func checkReport(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) == 0 {
		t.Fatal("the report has no findings")
	}
	for _, f := range r.Findings {
		if f.N == 0 || f.Name == "complete streams" && f.Median != 5 {
			t.Errorf("got %+v, want a figure, and all streams complete", f)
		}
	}
}

func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func TestScaleFigures_ReadsWhatGoTestPrints(t *testing.T) {
	s := scaleFigures{samples: make(map[string][]float64)}
	s.read([]byte("cpu: any\nBenchmarkScale_Step/lease/waiting=30/10000-2 \t 2000\t 23690 ns/op\t 8.5 p50-us\t 9 p99-cpu-us\nBenchmarkScale_Request/1000-2 1 7 ns/op 100 cpu-us/request\n" +
		"BenchmarkScale_Request/8000-2 1 7 ns/op 250 cpu-us/request\nPASS\n"))
	var got []string
	for _, f := range s.findings() {
		got = append(got, fmt.Sprintf("%s %v %s", f.Name, f.Median, f.Unit))
	}
	want := []string{
		"Step/lease/waiting=30/10000 p50 8.5 us", "Step/lease/waiting=30/10000 p99 9 cpu-us", "Request/1000 100 cpu-us/request",
		"Request/8000 250 cpu-us/request", "Request: 8,000 models / 1,000 2.5 x",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestQuantile_InterpolatesBetweenSamples(t *testing.T) {
	sample := []time.Duration{4, 1, 3, 2}
	if got := quantiles(sample, 0, 0.5, 1); got[0] != 1 || got[1] != 2 || got[2] != 4 {
		t.Errorf("got %v, want 1, 2 (2.5 cut) and 4", got)
	}
}

// TestCompare_RunsBothInTurns holds the working tree against its own last commit: what benchstat prints has both, and nothing of it is left behind.
func TestCompare_RunsBothInTurns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the tests of two trees; not in short runs")
	}
	if err := exec.Command("git", "rev-parse", "HEAD").Run(); err != nil {
		lacking(t, "this is no git checkout; clone it")
	}
	run := exec.Command("go", "run", ".", "compare", "HEAD", "--packages", "./internal/openai", "--bench", "^BenchmarkInspect", "--time", "2x", "--pairs", "2")
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	for _, want := range []string{"turn 2 of 2: ./internal/openai, old", "turn 2 of 2: ./internal/openai, new", "sec/op", "vs base", "Inspect"} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %q in\n%s", want, text)
		}
	}
	if trees, err := exec.Command("git", "worktree", "list").Output(); err != nil || strings.Contains(string(trees), "pilotlight-compare-") {
		t.Errorf("a tree is left behind: %s, %v", trees, err)
	}
}
