//go:build linux

package chaos_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// plan is what a run does.
type plan struct {
	seed    uint64
	size    size
	calm    time.Duration // without faults, at the beginning
	last    time.Duration // in which faults begin
	kinds   []string      // in this order, once each; nil = drawn from all
	longest time.Duration // of a fault; the shortest is a third of it
	harder  bool          // at times two faults at once, or one that lasts a minute
}

// slice is what is run without being asked for more: always the same faults.
var slice = plan{
	seed: 1, size: size{Controls: 3, Nodes: 2, Servers: 2}, calm: 8 * time.Second, longest: 6 * time.Second,
	kinds: []string{"engine-killed", "nomad-leader-killed", "store-restarted", "node-cut", "leader-killed", "consul-slow"},
}

// asked is the plan that the environment asks for.
func asked(t *testing.T) plan {
	t.Helper()
	p := slice
	if text := os.Getenv("PILOTLIGHT_CHAOS"); text != "" {
		last, err := time.ParseDuration(text)
		must(t, err)
		p.last, p.kinds, p.seed, p.calm, p.longest, p.harder = last, nil, rand.Uint64(), 2*time.Minute, 12*time.Second, true
	}
	if text := os.Getenv("PILOTLIGHT_SEED"); text != "" {
		var err error
		p.seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	if text := os.Getenv("PILOTLIGHT_CHAOS_ONLY"); text != "" {
		p.kinds = strings.Split(text, ",")
	}
	return p
}

// runInside is the test, in namespaces of its own.
func runInside(t *testing.T) {
	p := asked(t)
	t.Logf("PILOTLIGHT_SEED=%d", p.seed)
	text, err := os.ReadFile(os.Getenv(programsFile))
	must(t, err)
	var built programs
	must(t, json.Unmarshal(text, &built))
	s := newSite(t, built, os.Getenv(worldDir), p.size)
	t.Cleanup(func() { s.end(t) })
	s.startLights(t)
	l := startLoad(t, s, p.seed)
	r := &run{t: t, site: s, load: l, plan: p, random: rand.New(rand.NewPCG(p.seed, 9)), began: time.Now(), kinds: map[string]*kindResult{}}
	r.recover("the start", time.Now(), usualRecovery)
	r.beCalm()
	r.breakThings()
	l.stop()
	s.goesToZero(t)
	records := l.checkBills(t)
	for _, wrong := range l.wrong {
		t.Error(wrong)
	}
	r.tell(records)
}

// run is a run, as far as it has come.
type run struct {
	t      *testing.T
	site   *site
	load   *load
	plan   plan
	random *rand.Rand
	began  time.Time
	kinds  map[string]*kindResult
	calm   latencies
	over   latencies // of hot requests while a server failed over to another
	number int
	died   int // processes that ended by themselves, and were started again
}

func (r *run) logf(format string, args ...any) {
	r.t.Helper()
	r.t.Logf("%7.1f s: "+format, append([]any{time.Since(r.began).Seconds()}, args...)...)
}

// beCalm measures what requests on a hot model take while nothing is broken.
func (r *run) beCalm() {
	from := time.Now()
	time.Sleep(r.plan.calm)
	r.calm = latenciesOf(r.load.hot(from, time.Now()))
	r.logf("calm: %v", r.calm)
}

// breakThings makes one fault after the other, or two at once.
func (r *run) breakThings() {
	until := time.Now().Add(r.plan.last)
	for n := 0; (r.plan.last == 0 && n < len(r.plan.kinds) || time.Now().Before(until)) && !r.t.Failed(); n++ {
		chosen := []fault{r.choose(n)}
		if r.plan.harder && r.random.IntN(4) == 0 {
			if other := r.choose(-1); part(other) != part(chosen[0]) {
				chosen = append(chosen, other)
			}
		}
		r.breakAndMend(chosen)
		time.Sleep(time.Second + time.Duration(r.random.Int64N(int64(2*time.Second))))
	}
}

// choose gives the nth of the plan's kinds, or where it has no order any of them, or of all.
func (r *run) choose(n int) fault {
	possible := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool {
		return f.servers > len(r.site.lights) || len(r.plan.kinds) > 0 && !slices.Contains(r.plan.kinds, f.kind)
	})
	if len(possible) == 0 {
		r.t.Fatalf("no faults are of the kinds %v", r.plan.kinds)
	}
	if r.plan.last == 0 {
		return possible[slices.IndexFunc(possible, func(f fault) bool { return f.kind == r.plan.kinds[n] })]
	}
	return pick(r.random, possible)
}

// part is what a fault breaks: two at once never break the same.
func part(f fault) string {
	name, _, _ := strings.Cut(f.kind, "-")
	return name
}

// breakAndMend begins faults, ends them some seconds later, and waits until all is well again.
func (r *run) breakAndMend(chosen []fault) {
	type running struct {
		fault
		number int
		end    func() error
	}
	var now []running
	began, most := time.Now(), time.Duration(0)
	for _, f := range chosen {
		r.number++
		whom, end, err := f.begin(r.site, r.random)
		if errors.Is(err, errNothing) {
			r.logf("fault %d: %s: there is nothing to break just now", r.number, f.kind)
			continue
		}
		if err != nil {
			r.t.Errorf("fault %d: %s of %s: %v", r.number, f.kind, whom, err)
		}
		r.logf("fault %d begins: %s of %s", r.number, f.kind, whom)
		now, most = append(now, running{f, r.number, end}), max(most, f.recovery, usualRecovery)
	}
	if len(now) == 0 {
		return
	}
	time.Sleep(r.lasting())
	for _, f := range now {
		if f.end != nil {
			if err := f.end(); err != nil {
				r.t.Errorf("ending fault %d: %v", f.number, err)
			}
		}
		r.logf("fault %d ends", f.number)
	}
	ended := time.Now()
	took := r.recover("it", ended, most)
	for _, f := range now {
		r.keep(f.fault, began, ended, took, len(now) == 1)
	}
}

// lasting is how long the next faults last. Engines that hang, and nodes that are not heard, are given up within a minute.
func (r *run) lasting() time.Duration {
	if r.plan.harder && r.random.IntN(6) == 0 {
		return 40*time.Second + time.Duration(r.random.Int64N(int64(30*time.Second)))
	}
	return r.plan.longest/3 + time.Duration(r.random.Int64N(int64(r.plan.longest*2/3)))
}

// recover waits until each model has been answered by each server since a moment, and all processes run, and gives how long that took.
func (r *run) recover(what string, since time.Time, most time.Duration) time.Duration {
	r.t.Helper()
	err := within(most, func() error {
		for _, p := range r.site.everybody() {
			if died, err := p.revive(); err != nil {
				return err
			} else if died {
				r.died++
				r.logf("%s had ended by itself:\n%s", p.name, p.lastWords(600))
				if r.site.isLight(p) {
					r.t.Errorf("%s has ended by itself", p.name)
				}
			}
		}
		if missing := r.load.unanswered(since); len(missing) > 0 {
			return errors.New("nobody was answered: " + strings.Join(missing, ", "))
		}
		return nil
	})
	if err != nil {
		r.t.Fatalf("recovering from %s: %v", what, err)
	}
	took := time.Since(since)
	r.logf("recovered %.1f s after %s", took.Seconds(), what)
	return took
}
