package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// crashClients ask at once, all the time.
const crashClients = 8

// crashConfig is a server with one model, small and fast.
const crashConfig = `
store %q {
}
ledger {
  durability = %q
}
backend "local" {
  gpus = 1
}
model "meta-llama/Meta-Llama-3-8B-Instruct" {
}
`

// crashed is an installation whose server is killed over and over, and what its callers know.
type crashed struct {
	t       *testing.T
	dir     string
	configs []string
	random  *rand.Rand

	mu       sync.Mutex
	whole    map[string]bill // of answers whose last byte came, by request ID
	cut      int             // answers that the kill has cut, or kept from being begun
	asked    int
	recovery int           // kills before the server said that it serves
	torn     int           // logs that got a torn write
	starting time.Duration // about what a start takes
}

// bill is what an answer says of its cost.
type bill struct {
	Billed int64 // microseconds
	Cost   fleet.NanoUSD
}

// TestCrash_WhateverIsKilledWhen kills the whole server with SIGKILL at random points under load, starting included, and tears the log's last
// write. Every answer whose last byte a caller has got has one record, equal to its receipt to the microsecond and the nano-dollar; none has two; those
// without a whole answer are at most as many as were in flight at the kills; each organisation's chain of hashes verifies.
//
// PILOTLIGHT_CRASH_POINTS is how many points on each store (100), PILOTLIGHT_SEED the seed, PILOTLIGHT_CRASH_RESULT a file for the outcome.
func TestCrash_WhateverIsKilledWhen(t *testing.T) {
	points, seed := 100, rand.Uint64()
	if testing.Short() {
		points = 5
	}
	for name, to := range map[string]func(string) error{
		"PILOTLIGHT_CRASH_POINTS": func(text string) (err error) { points, err = strconv.Atoi(text); return err },
		"PILOTLIGHT_SEED":         func(text string) (err error) { seed, err = strconv.ParseUint(text, 10, 64); return err },
	} {
		if text := os.Getenv(name); text != "" {
			if err := to(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("PILOTLIGHT_SEED=%d", seed)
	var outcomes []map[string]any
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			c := &crashed{t: t, dir: t.TempDir(), random: rand.New(rand.NewPCG(seed, 5)), whole: map[string]bill{}, starting: 300 * time.Millisecond}
			if store == "postgres" {
				t.Setenv("PILOTLIGHT_DATABASE_URL", newPostgres(t))
			}
			for _, durability := range []string{"async", "sync"} {
				c.configs = append(c.configs, writeConfig(t, fmt.Sprintf(crashConfig, store, durability)))
			}
			outcomes = append(outcomes, c.run(store, points))
		})
	}
	keepCrashes(t, seed, outcomes)
}

// newPostgres gives the URL of a new database.
func newPostgres(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Postgres")
	}
	server, err := storetest.Start()
	if errors.Is(err, storetest.ErrMissing) {
		required(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server.Database(t)
}

// run kills the server at so many points and gives what has come out.
func (c *crashed) run(store string, points int) map[string]any {
	began := time.Now()
	for point := range points {
		c.live(point)
		if c.random.IntN(2) == 0 {
			c.tear()
		}
	}
	took := time.Since(began)
	records := c.check()
	c.t.Logf("%d points in %v: %d requests, %d whole answers, %d records, %d answers cut; %d kills while starting, %d torn writes",
		points, took.Round(time.Second), c.asked, len(c.whole), records, c.cut, c.recovery, c.torn)
	if len(c.whole) < points {
		c.t.Error("the test has tested too little")
	}
	return map[string]any{
		"store": store, "points": points, "kills_while_starting": c.recovery, "torn_writes": c.torn, "requests": c.asked,
		"whole_answers": len(c.whole), "records": records, "in_flight_at_kills": c.cut, "failed": c.t.Failed(),
	}
}

// live runs one life of the server and its load, and kills it at a random moment: in one of four lives already while it starts.
func (c *crashed) live(point int) {
	early := point > 0 && c.random.IntN(4) == 0
	ctx, cancel := context.WithCancel(c.t.Context())
	if early {
		ctx, cancel = context.WithTimeout(c.t.Context(), time.Duration(c.random.Int64N(int64(c.starting))))
	}
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "dev", "--json", "--api-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", c.dir,
		"--config", c.configs[c.random.IntN(len(c.configs))], "--log-level", "warn",
		"--sim-speed", "1000", "--sim-load-time", "1s", "--sim-container-start", "0s")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	began := time.Now()
	s, err := beginDev(cmd)
	if err != nil && early {
		c.recovery++
		return
	}
	if err != nil {
		c.t.Fatalf("point %d: %v", point, err)
	}
	c.starting = (3*c.starting + time.Since(began)) / 4
	var callers sync.WaitGroup
	for caller := range crashClients {
		callers.Go(func() {
			for n := 0; c.ask(s, fmt.Sprintf("point-%d-caller-%d-%d", point, caller, n), (caller+n)%2 == 0); n++ {
			}
		})
	}
	if !early && c.random.IntN(5) > 0 { // else the first requests may still wait for an engine
		c.waitFor(c.random.IntN(150))
	}
	time.Sleep(time.Duration(c.random.Int64N(int64(30 * time.Millisecond)))) // any moment will do
	s.kill()
	callers.Wait()
	if log := s.stderr.String(); strings.Contains(log, "panic") || strings.Contains(log, "usage records may be lost") {
		c.t.Errorf("point %d: the server says\n%s", point, log)
	}
}

// waitFor waits until so many more whole answers have come.
func (c *crashed) waitFor(more int) {
	had := -1
	eventually(c.t, time.Minute, func() string {
		c.mu.Lock()
		defer c.mu.Unlock()
		if had < 0 {
			had = len(c.whole)
		}
		if now := len(c.whole) - had; now < more {
			return fmt.Sprintf("%d of %d answers", now, more)
		}
		return ""
	})
}

// ask sends one request and keeps its bill. It gives false when the server is gone.
func (c *crashed) ask(s *devServer, id string, stream bool) bool {
	body := fmt.Appendf(nil, `{"model": "meta-llama/Meta-Llama-3-8B-Instruct", "max_tokens": 4, "stream": %t, "messages": [{"role": "user", "content": "Why?"}]`, stream)
	if stream {
		body = append(body, `, "stream_options": {"include_usage": true}`...)
	}
	a, err := s.post(c.t.Context(), "/chat/completions", append(body, '}'), "X-Request-Id", id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if err != nil || !a.whole() {
		c.cut++
		if err == nil && a.err == nil {
			c.t.Errorf("%s: got status %d and %q, want a whole answer or none", id, a.status, a.body)
		}
		return false
	}
	said, err := billOf(a)
	if err != nil {
		c.t.Errorf("%s: %v", id, err)
	}
	c.whole[id] = said
	return true
}

// tear writes a part of a frame behind the last one of the log, as a machine does that stops in the middle of a write.
func (c *crashed) tear() {
	segments, err := filepath.Glob(filepath.Join(c.dir, "ledger", "*.wal"))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := len(segments) - 1; i >= 0; i-- { // the last may be allocated and not begun
		data, err := os.ReadFile(segments[i])
		if err != nil {
			c.t.Fatal(err)
		}
		written := strings.TrimRight(string(data), "\x00")
		frame := strings.LastIndex(written, "\xfePL\xff")
		if frame < 0 {
			continue
		}
		if last := written[frame:]; len(last) < 12 || len(last) != 12+int(binary.LittleEndian.Uint32([]byte(last[4:]))) {
			return // torn already, and the start that would have taken it was killed: nobody writes behind it
		}
		f, err := os.OpenFile(segments[i], os.O_WRONLY, 0)
		if err != nil {
			c.t.Fatal(err)
		}
		part := written[frame : frame+1+c.random.IntN(len(written)-frame-1)]
		if _, err := f.WriteAt([]byte(part), int64(len(written))); err != nil {
			c.t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			c.t.Fatal(err)
		}
		c.torn++
		return
	}
}

// check holds all records against what callers know, and gives how many there are.
func (c *crashed) check() int {
	s := startDev(c.t, c.dir, "--config", c.configs[0])
	records := map[string]ledger.Record{}
	last := map[string]ledger.Hash{} // of each chain
	cost := fleet.NanoUSD(0)
	for _, text := range s.rawRecords(c.t) {
		var r ledger.Record
		var said struct{ Hash ledger.Hash }
		if err := json.Unmarshal(text, &r); err != nil {
			c.t.Fatal(err)
		}
		if err := json.Unmarshal(text, &said); err != nil {
			c.t.Fatal(err)
		}
		hash, err := ledger.HashOfJSON(text)
		if err != nil || hash != said.Hash {
			c.t.Errorf("record %s: got hash %s, %v, want %s", r.ID, hash, err, said.Hash)
		}
		if r.Previous != last[r.Chain] || r.Chain == "" {
			c.t.Errorf("record %s comes behind %s in chain %q, want behind %s", r.ID, r.Previous, r.Chain, last[r.Chain])
		}
		last[r.Chain] = hash
		if other, double := records[r.RequestID]; double {
			c.t.Errorf("%s has two records, %s and %s", r.RequestID, other.ID, r.ID)
		}
		records[r.RequestID] = r
		cost += r.Cost
	}
	if len(last) != 1 {
		c.t.Errorf("the records are in %d chains, want one of one server and organisation", len(last))
	}
	for id, said := range c.whole {
		r, found := records[id]
		if !found {
			c.t.Errorf("%s was answered and has no record", id)
		} else if kept := (bill{r.Billed.Microseconds(), r.Cost}); kept != said {
			c.t.Errorf("%s was told %+v, and its record says %+v", id, said, kept)
		}
	}
	if without := len(records) - len(c.whole); without > c.cut {
		c.t.Errorf("%d records have no whole answer, and %d requests were in flight at the kills", without, c.cut)
	}
	usage, err := s.admin(c.t).Usage(c.t.Context(), admin.UsageQuery{})
	if err != nil || len(usage.Usage) != 1 || usage.Usage[0].Requests != int64(len(records)) || usage.Usage[0].Cost != cost {
		c.t.Errorf("got sums %+v, %v, want %d requests for %d nano-USD", usage.Usage, err, len(records), cost)
	}
	return len(records)
}
