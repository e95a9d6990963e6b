package joined_test

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func (w *world) chooseKinds() []faultsim.Kind {
	basic := []faultsim.Kind{{Name: "requests come", Do: w.stepCome}, {Name: "requests come", Do: w.stepCome}, {Name: "time", Do: w.StepTime}, {Name: "all goes well", Do: w.stepWell}}
	var kinds []faultsim.Kind
	for range faultsim.Pick(w.Tape, []int{1, 4, 12}) {
		kinds = append(kinds, basic...)
	}
	return append(kinds, w.Swarm([]faultsim.Kind{
		{Name: "requests come", Do: w.stepCome},
		{Name: "time", Do: w.StepTime},
		{Name: "database away", Do: w.stepAway},
		{Name: "database slow", Do: w.stepSlow},
		{Name: "server cut off from the database", Do: w.stepCutDatabase},
		{Name: "transactions lost", Do: w.stepLossy},
		{Name: "server cut off from the lock", Do: w.stepCutLock},
		{Name: "lock away", Do: w.stepLockAway},
		{Name: "server cut off from the engines", Do: w.stepCutEngines},
		{Name: "acts lost and late", Do: w.stepLoseActs},
		{Name: "servers cut off from each other", Do: w.stepSever},
		{Name: "messages lost, late and doubled", Do: w.stepLose},
		{Name: "server crashes", Do: w.stepCrash},
		{Name: "server that leads crashes", Do: w.stepCrashLeader},
		{Name: "server stops", Do: w.stepStop},
		{Name: "server that leads stops", Do: w.stepStopLeader},
		{Name: "server starts", Do: w.stepStart},
		{Name: "server starts", Do: w.stepStart},
		{Name: "engine dies", Do: w.stepDie},
		{Name: "engine hangs", Do: w.stepHang},
		{Name: "starts fail", Do: w.stepFail},
		{Name: "disk full", Do: w.stepFull},
	}...)...)
}

// up gives a server that is up, or nil.
func (w *world) up() *server {
	return faultsim.PickWhere(w.Tape, w.servers, func(s *server) bool { return s.life != nil })
}

// leading gives a server that leads, or nil.
func (w *world) leading() *server {
	return faultsim.PickWhere(w.Tape, w.servers, func(s *server) bool { return s.life != nil && s.life.tenure.Load() != nil })
}

func (w *world) stepCome() {
	for range faultsim.Pick(w.Tape, []int{1, 2, 3, 9}) {
		s := w.up()
		if s == nil {
			return
		}
		of := faultsim.Pick(w.Tape, tokens)
		o := order{
			org: of.Org, token: of.Token, model: faultsim.Pick(w.Tape, w.models).ID, first: time.Duration(1 + w.Choose(500_000_000)),
			runs: time.Duration(1 + w.Choose(faultsim.Pick(w.Tape, []int{1_000_000, 3_000_000_000, 20_000_000_000}))), onlyHot: w.Choose(8) == 0, hasty: w.Choose(12) == 0,
		}
		if w.Choose(6) == 0 {
			o.leaves = time.Duration(1 + w.Choose(20_000_000_000))
		}
		if s.life.serves.Load() {
			w.come(s.life, o)
		}
		time.Sleep(time.Duration(1 + w.Choose(1_000_000)))
	}
}

// stepWell ends all faults for now, and has all servers be there, and some requests served.
func (w *world) stepWell() {
	w.heal()
	w.startAll()
	w.stepCome()
	time.Sleep(time.Duration(w.Choose(12_000_000_000)))
}

// startAll starts all servers that are down, but for those that are still ending.
func (w *world) startAll() {
	for _, s := range w.servers {
		if s.life == nil && s.over() {
			w.start(s)
		}
	}
}

func (w *world) stepAway() { w.database.Away(w.Until()) }

func (w *world) stepSlow() { w.database.Slow(w.Until()) }

func (w *world) stepCutDatabase() {
	w.fault(func(l *life, until time.Time) { l.way.Away(until) })
}

func (w *world) stepLossy() {
	w.fault(func(l *life, until time.Time) { l.way.Lossy(until) })
}

func (w *world) stepCutLock() {
	w.fault(func(l *life, until time.Time) { l.lockWay.Away(until) })
}

func (w *world) stepLockAway() { w.lock.Away(w.Until()) }

func (w *world) stepCutEngines() {
	w.fault(func(l *life, until time.Time) { l.engineWay.Away(until) })
}

// stepLoseActs has acts of the server that leads be lost, or come late: after the next one leads, it may be.
func (w *world) stepLoseActs() {
	s := w.leading()
	if s == nil {
		return
	}
	w.Note("  server %d", s.n)
	s.life.engineWay.Lossy(w.Until())
	w.stepCome()
	time.Sleep(time.Duration(w.Choose(1_000_000_000)))
	if w.Choose(3) == 0 {
		w.stop(s)
	}
}

// fault has something be wrong with a server until a moment.
func (w *world) fault(do func(*life, time.Time)) {
	if s := w.up(); s != nil {
		w.Note("  server %d", s.n)
		do(s.life, w.Until())
	}
}

func (w *world) stepSever() {
	a, b := faultsim.Pick(w.Tape, w.servers), faultsim.Pick(w.Tape, w.servers)
	if a != b {
		w.Note("  servers %d and %d", a.n, b.n)
		w.net.sever(a, b, w.Until())
	}
}

func (w *world) stepLose() { w.net.lose(w.Until()) }

func (w *world) stepCrash() {
	if s := w.up(); s != nil && w.Choose(2) == 0 {
		w.crash(s)
	}
}

func (w *world) stepCrashLeader() {
	if s := w.leading(); s != nil && w.Choose(2) == 0 {
		w.crash(s)
	}
}

func (w *world) stepStop() {
	if s := w.up(); s != nil && w.Choose(3) == 0 {
		w.stop(s)
	}
}

func (w *world) stepStopLeader() {
	if s := w.leading(); s != nil && w.Choose(3) == 0 {
		w.stop(s)
	}
}

func (w *world) stepStart() {
	s := faultsim.PickWhere(w.Tape, w.servers, func(s *server) bool { return s.life == nil && s.over() })
	if s != nil {
		w.start(s)
	}
}

// one gives an engine that is there, or nil; mu of the engines is held.
func (b *engines) one() *engine {
	return faultsim.PickWhere(b.w.Tape, b.all, func(e *engine) bool { return !e.gone })
}

func (w *world) stepDie() {
	w.engines.mu.Lock()
	defer w.engines.mu.Unlock()
	if e := w.engines.one(); e != nil && w.Choose(2) == 0 {
		w.Note("  %s", e.ID)
		w.engines.end(e, "killed")
	}
}

func (w *world) stepHang() {
	b := w.engines
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.one(); e != nil && e.State == fleet.Ready && !e.hung && w.Choose(2) == 0 {
		w.Note("  %s", e.ID)
		e.hung = true
		w.Unwell(time.Now().Add(hangMost + settledSoon))
		time.AfterFunc(hangMost-time.Duration(w.Choose(10_000_000_000)), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.end(e, "gives no sign of health")
		})
	}
}

func (w *world) stepFail() {
	until := w.Until()
	w.engines.mu.Lock()
	defer w.engines.mu.Unlock()
	w.engines.fails = until
}

func (w *world) stepFull() {
	s := faultsim.Pick(w.Tape, w.servers)
	s.disk.SetFull(!s.disk.IsFull())
	w.Note("  server %d: %v", s.n, s.disk.IsFull())
}

// lives gives those of all servers that are up.
func (w *world) lives() (all []*life) {
	for _, s := range w.servers {
		if s.life != nil {
			all = append(all, s.life)
		}
	}
	return slices.Clip(all)
}
