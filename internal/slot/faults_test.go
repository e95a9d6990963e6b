package slot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestFaults plays histories of a supervisor without processes: engines, leaders, and the network between are simulated, and leaders know no better than to order
// anything. See faultsim.
func TestFaults(t *testing.T) {
	dir := t.TempDir()
	faultsim.Run(t, faultsim.World{Play: func(tape *faultsim.Tape) error { return playFaults(tape, dir) }, Rare: []string{
		"reached: " + ErrOldTerm.Error(), "reached: " + ErrEnded.Error(), "reached: " + ErrBusy.Error(), "reached: " + ErrCrowded.Error(),
		"reached: " + ErrHostMemory.Error(), "reached: " + ErrShuttingDown.Error(), "reached: " + ErrState.Error(), "reached: " + ErrUnknown.Error(),
		"reached: an engine was resumed", "reached: an engine found no memory to wake", "reached: an engine was ready after it was told to stop",
		"reached: the clock was set back over a restart", "reached: an act came again",
	}}, 1000, 100)
}

// faults is one history of a supervisor.
type faults struct {
	faultsim.History
	dir    string
	s      *Slot
	w      *watcher
	clock  time.Time
	memory fleet.Bytes // of the host, for parked engines

	term    uint64 // of the newest leader
	seq     map[uint64]uint64
	net     []fleet.Act
	engines []*simulated
	fenced  uint64          // the highest term that the supervisor has answered
	stopped map[string]bool // instance IDs that a stop was accepted of, in this life
	began   map[actNumber]bool
	ids     int

	saidTerm, saidSeq uint64
	gone, stopping    map[string]bool // as it was said
}

// simulated is an engine process.
type simulated struct {
	i        *instance
	awake    bool // it holds its GPUs' memory
	ready    bool // it has been
	doing    fleet.ActKind
	failed   bool
	sleepers int // that the act allowed which it was made or woken by
	ended    bool
}

const faultsGPUs = 4

func playFaults(tape *faultsim.Tape, parent string) error {
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f := &faults{History: faultsim.History{Tape: tape}, dir: dir, clock: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), term: 1, seq: make(map[uint64]uint64)}
	f.memory = faultsim.Pick(tape, []fleet.Bytes{6, 12, 40})
	f.start()
	return f.Play(f.chooseKinds(), f.settle, f.calmDown)
}

// chooseKinds decides which steps this history has, and how often.
func (f *faults) chooseKinds() []faultsim.Kind {
	basic := []faultsim.Kind{{Name: "launch", Do: f.stepLaunch}, {Name: "deliver", Do: f.stepDeliver}, {Name: "engine moves on", Do: f.stepEngine}, {Name: "all goes well", Do: f.stepWell}, {Name: "park, resume or stop", Do: f.stepMove}}
	var kinds []faultsim.Kind
	for range faultsim.Pick(f.Tape, []int{1, 4, 12}) {
		kinds = append(kinds, basic...)
	}
	return append(kinds, f.Swarm([]faultsim.Kind{
		{Name: "launch", Do: f.stepLaunch},
		{Name: "park, resume or stop", Do: f.stepMove},
		{Name: "park, resume or stop", Do: f.stepMove},
		{Name: "act doubled", Do: f.stepDouble},
		{Name: "act lost", Do: f.stepLose},
		{Name: "engine dies", Do: f.stepDie},
		{Name: "new leader", Do: f.stepLeader},
		{Name: "leader fences", Do: f.stepFence},
		{Name: "supervisor restarts", Do: f.stepRestart},
		{Name: "supervisor shuts down", Do: f.stepClose},
		{Name: "new watcher", Do: f.stepWatch},
		{Name: "time", Do: f.stepTime},
		{Name: "old leader acts", Do: f.stepOldLeader},
	}...)...)
}

// start begins a life of the supervisor.
func (f *faults) start() {
	s, err := New(Config{ID: "x", Dir: f.dir, GPUs: faultsGPUs, HostMemory: f.memory, KeepTerm: true})
	if err != nil {
		f.Fail("starting: %v", err)
		return
	}
	s.term, s.seq = 0, 0
	s.restoreTerm(f.clock)
	f.s, f.engines, f.stopped, f.began, f.net = s, nil, make(map[string]bool), make(map[actNumber]bool), nil
	f.gone, f.stopping = make(map[string]bool), make(map[string]bool)
	f.watch()
}

// watch begins to follow it anew, as Watch does.
func (f *faults) watch() {
	clear(f.s.watchers)
	f.w = &watcher{wake: make(chan struct{}, 1)}
	f.s.watchers[f.w] = struct{}{}
}

func (f *faults) act(kind fleet.ActKind, term uint64, instance string) fleet.Act {
	f.seq[term]++
	return fleet.Act{Kind: kind, Term: term, Seq: f.seq[term], Instance: instance, Sleepers: 2}
}

func (f *faults) stepLaunch() { f.launch(f.term) }

func (f *faults) launch(term uint64) {
	f.ids++
	gpus := faultsim.Pick(f.Tape, []int{0, 1, 1, 2, 2, 4})
	act := f.act(fleet.ActLaunch, term, fmt.Sprint("i", f.ids))
	if f.Choose(6) == 0 {
		act.Instance = fmt.Sprint("i", 1+f.Choose(f.ids)) // of one that may be there, or have been
	}
	m := &fleet.Model{ID: fmt.Sprint("m", gpus), GPUs: gpus, ParkedMemory: fleet.Bytes(1 + gpus), Engine: fleet.EngineSpec{Kind: fleet.EngineSim}}
	act.Model, act.Config, act.GPUs, act.GPU = m.ID, m, gpus, f.Choose(faultsGPUs)
	if gpus > 0 && f.Choose(8) > 0 {
		act.GPU -= act.GPU % gpus
	}
	act.Sleepers = f.Choose(3)
	f.net = append(f.net, act)
}

func (f *faults) stepMove() { f.move(f.term) }

func (f *faults) move(term uint64) {
	if is := f.s.instances; len(is) > 0 && f.Choose(4) > 0 {
		i, kind := is[f.Choose(len(is))], fleet.ActStop
		switch i.State {
		case fleet.Ready:
			kind = fleet.ActPark
		case fleet.Asleep:
			kind = fleet.ActResume
		case fleet.Starting, fleet.Parking, fleet.Resuming:
			if f.Choose(4) > 0 {
				return // it goes on
			}
		}
		act := f.act(kind, term, i.ID)
		act.Sleepers = f.Choose(3)
		f.net = append(f.net, act)
	} else if f.ids > 0 {
		kind := faultsim.Pick(f.Tape, []fleet.ActKind{fleet.ActPark, fleet.ActPark, fleet.ActResume, fleet.ActResume, fleet.ActStop})
		id := fmt.Sprint("i", max(1, f.ids-f.Choose(6)))
		f.net = append(f.net, f.act(kind, term, id))
	}
}

// stepOldLeader has a leader order something that has been replaced, and does not know.
func (f *faults) stepOldLeader() {
	if f.term > 1 {
		if old := 1 + uint64(f.Choose(int(f.term-1))); f.Choose(2) == 0 {
			f.launch(old)
		} else {
			f.move(old)
		}
	}
}

// stepWell has all arrive, and all engines go on.
func (f *faults) stepWell() {
	f.stepDeliver()
	for range 3 {
		for _, e := range f.running() {
			f.moveOn(e)
		}
	}
}

func (f *faults) stepDouble() {
	if len(f.net) > 0 {
		f.net = append(f.net, faultsim.Pick(f.Tape, f.net))
	}
}

func (f *faults) stepLose() {
	if len(f.net) > 0 {
		k := f.Choose(len(f.net))
		f.net = slices.Delete(f.net, k, k+1)
	}
}

// stepDeliver has some of what is on its way arrive, in any order; one may arrive once more.
func (f *faults) stepDeliver() {
	for range 1 + f.Choose(4) {
		if len(f.net) == 0 {
			return
		}
		k := f.Choose(len(f.net))
		act := f.net[k]
		if f.Choose(6) > 0 {
			f.net = slices.Delete(f.net, k, k+1)
		}
		f.deliver(act)
	}
}

func (f *faults) stepLeader() {
	if f.Choose(3) == 0 {
		f.term++
	}
}

func (f *faults) stepFence() {
	err := f.s.Fence(context.Background(), f.term)
	f.Note("fence %d: %v", f.term, err)
	if err == nil {
		f.fenced = max(f.fenced, f.term)
	}
}

// stepRestart ends the supervisor, and with it all engines and connections, and has another one begin, whose clock may be another.
func (f *faults) stepRestart() {
	if f.Choose(12) > 0 && !f.s.closed {
		return
	}
	if f.Choose(2) == 0 {
		f.clock = f.clock.Add(-time.Duration(1+f.Choose(100)) * time.Hour)
		f.Reached("the clock was set back over a restart")
	}
	f.Note("restart")
	f.start()
}

func (f *faults) stepClose() {
	if f.Choose(12) == 0 {
		f.Note("shuts down")
		f.s.close()
	}
}

func (f *faults) stepWatch() { f.watch() }

func (f *faults) stepTime() {
	f.clock = f.clock.Add(time.Duration(f.Choose(10_000)) * time.Millisecond)
}

// calmDown has a new leader stop all that it hears of: then nothing may be left.
func (f *faults) calmDown() {
	f.Note("calm")
	f.net = nil
	f.term++
	f.stepFence()
	for range 50 {
		for _, i := range slices.Clone(f.s.instances) {
			f.deliver(f.act(fleet.ActStop, f.term, i.ID))
		}
		for _, e := range slices.Clone(f.engines) {
			f.moveOn(e)
		}
		f.settle()
		if len(f.s.instances) == 0 {
			return
		}
	}
	f.Fail("%d instances do not end", len(f.s.instances))
}

// whyOf gives the sentinel of a refusal.
func whyOf(err error) string {
	for _, known := range []error{ErrOldTerm, ErrEnded, ErrBusy, ErrCrowded, ErrHostMemory, ErrShuttingDown, ErrState, ErrUnknown, ErrBadBlock, ErrExists, ErrNotAvailable} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return strings.TrimSpace(err.Error())
}
