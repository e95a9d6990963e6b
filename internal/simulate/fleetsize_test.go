package simulate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/simulate"
)

func sizing(cfg simulate.Config, policy string, limit time.Duration) simulate.Sizing {
	cfg.Policy = policy
	return simulate.Sizing{Config: cfg, Seeds: []uint64{cfg.Seed}, For: limit}
}

func sizeFleet(t *testing.T, cfg simulate.Config, policy string, limit time.Duration) *simulate.FleetSize {
	t.Helper()
	s := sizing(cfg, policy, limit)
	size, err := simulate.SizeFleet(t.Context(), &s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

func sizeDedicated(t *testing.T, cfg simulate.Config, limit time.Duration) *simulate.FleetSize {
	t.Helper()
	s := sizing(cfg, "", limit)
	size, err := simulate.SizeDedicated(t.Context(), &s)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// threeInTurn has three models of one GPU called in turn, one each twenty seconds, and served for a second.
func threeInTurn(t *testing.T) simulate.Config {
	var models, requests strings.Builder
	for _, name := range []string{"a", "b", "c"} {
		models.WriteString(strings.Replace(one, "one", name, 1))
	}
	for k := range 300 {
		fmt.Fprintf(&requests, "%d,%c,25000,0\n", 20_000*(k+1), 'a'+k%3)
	}
	cfg := tiny(t, models.String(), requests.String())
	cfg.GPUsPerNode, cfg.Nodes, cfg.IdleCost, cfg.ParkedPerGPU, cfg.Warmup = 1, 4, 0, 3, 65*time.Second
	return cfg
}

// With a GPU each, nobody waits once each model has had its first wake, which is not scored. With two, who lives alone is always hot, and the two who share are parked for each other: 1.5 s to park and 1.5 s to
// wake, for two in three of the requests. With one GPU, all wait for that. No park is as fast as half a second, so that three GPUs are needed for it, and one for four seconds.
func TestSizeFleet_WorkedOutByHand(t *testing.T) {
	cfg := threeInTurn(t)
	for _, row := range []struct {
		policy string
		limit  time.Duration
		nodes  int
		p99    float64
	}{
		{"fixed-1000+park", 4 * time.Second, 1, 3},
		{"fixed-1000+park", 3 * time.Second, 1, 3}, // not longer is within
		{"fixed-1000+park", 2900 * time.Millisecond, 3, 0},
		{"fixed-1000+park", 500 * time.Millisecond, 3, 0},
		{"fixed-10+park", 500 * time.Millisecond, 0, 1.5}, // each finds itself parked, in any fleet
		{"adaptive", 500 * time.Millisecond, 3, 0},
		{"adaptive", 4 * time.Second, 1, 3},
	} {
		size := sizeFleet(t, cfg, row.policy, row.limit)
		if size.Met != (row.nodes > 0) || size.Nodes != row.nodes || size.GPUs != row.nodes || math.Abs(size.WaitP99-row.p99) > 0.02 || !size.Monotone {
			t.Errorf("%s, %s: got %d GPUs with a p99 of %.2f s (met %t, monotone %t), want %d with %.2f s: %+v",
				row.policy, row.limit, size.GPUs, size.WaitP99, size.Met, size.Monotone, row.nodes, row.p99, size.Looked)
		}
	}
}

// Ten requests of a second at once, on an engine that serves two: the last pair waits four seconds, with a second engine two pairs wait a second, and with five nobody.
func TestSizeDedicated_WorkedOutByHand(t *testing.T) {
	narrow := strings.Replace(two, ",64\n", ",2\n", 1)
	cfg := tiny(t, narrow+one, strings.Repeat("1000,two,15000,0\n", 10)+"2000,one,25000,0\n")
	for limit, copies := range map[time.Duration]int{4 * time.Second: 1, 3 * time.Second: 2, 2 * time.Second: 2, 1 * time.Second: 3, 900 * time.Millisecond: 5} {
		if size := sizeDedicated(t, cfg, limit); size.GPUs != 2*copies+1 || size.Nodes != (2*copies+2)/2 || size.ModelsIn != 2 {
			t.Errorf("%s: got %d GPUs on %d nodes and %d models within, want %d on %d, and 2", limit, size.GPUs, size.Nodes, size.ModelsIn, 2*copies+1, (2*copies+2)/2)
		}
	}
}

// What is waited for dedicated engines is what the real dispatcher and planner make of an engine that is never let go.
func TestSizeDedicated_AgreesWithTheSimulation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var requests strings.Builder
	at := 0
	for range 3000 {
		at += int(r.ExpFloat64() * 300)
		fmt.Fprintf(&requests, "%d,one,%d,%d\n", 100_000+at, r.IntN(20_000), r.IntN(100))
	}
	cfg := tiny(t, strings.Replace(one, ",64\n", ",4\n", 1), "0,one,0,0\n"+requests.String())
	cfg.GPUsPerNode, cfg.Warmup = 1, 90*time.Second
	want := run(t, cfg, "fixed-10000+park")
	got := sizeDedicated(t, cfg, time.Hour)
	if want.WaitP99 < 1 || got.GPUs != 1 || math.Abs(got.WaitP99/want.WaitP99-1) > 0.006 {
		t.Errorf("got a p99 of %.3f s with %d engines, want that of the simulation with one, %.3f s", got.WaitP99, got.GPUs, want.WaitP99)
	}
}

// A fleet that holds the wait by luck is not the answer: the one above it does not.
func TestSizeFleet_NotByLuck(t *testing.T) {
	for name, row := range map[string]struct {
		holds    string // by nodes, from one on
		nodes    int
		monotone bool
	}{
		"each node helps":                     {"...#####", 4, true},
		"one that fails above":                {"..#.####", 5, false},
		"two that fail":                       {".#..####", 5, true}, // the lucky one is not looked at
		"one that holds, two below":           {".#.#####", 4, false},
		"only the largest":                    {".......#", 8, true},
		"all":                                 {"########", 1, true},
		"none":                                {"........", 0, true},
		"the largest fails, and smaller hold": {"..#####.", 0, true}, // they are not looked at
	} {
		size, err := simulate.SearchFleet(len(row.holds), func(nodes int) (bool, error) { return row.holds[nodes-1] == '#', nil })
		if err != nil || size.Nodes != row.nodes || size.Met != (row.nodes > 0) || size.Monotone != row.monotone {
			t.Errorf("%s: got %d nodes, monotone %t, %v; want %d, %t", name, size.Nodes, size.Monotone, err, row.nodes, row.monotone)
		}
	}
}

func TestSizeFleet_Refuses(t *testing.T) {
	cfg := threeInTurn(t)
	for name, s := range map[string]simulate.Sizing{
		"no wait":  sizing(cfg, "adaptive", 0),
		"no seeds": {Config: cfg, For: time.Second},
		"no nodes": sizing(func() simulate.Config { c := cfg; c.Nodes = 0; return c }(), "adaptive", time.Second),
	} {
		if _, err := simulate.SizeFleet(t.Context(), &s, nil, nil); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	s := sizing(cfg, "adaptive", time.Second)
	if _, err := simulate.SizeFleet(ctx, &s, nil, nil); !errors.Is(err, why) {
		t.Errorf("got %v, want the context's cause", err)
	}
	if _, err := simulate.SizeDedicated(ctx, &s); !errors.Is(err, why) {
		t.Errorf("got %v, want the context's cause", err)
	}
}

func TestWriteSizesHTML_NeedsNothingElse(t *testing.T) {
	cfg := threeInTurn(t)
	own := sizeDedicated(t, cfg, time.Second)
	var page bytes.Buffer
	if err := simulate.WriteSizesHTML(&page, simulate.SizeReport{Trace: "a<b", For: time.Second, GPUs: 1, Seeds: []uint64{7}, Sizes: []*simulate.FleetSize{own, sizeFleet(t, cfg, "adaptive", time.Second)}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a&lt;b", "dedicated", "adaptive", "<svg", "longer than 1s"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, no := range []string{"http://", "https://", "<script", "NaN"} {
		if strings.Contains(page.String(), no) {
			t.Errorf("the page has %q", no)
		}
	}
}
