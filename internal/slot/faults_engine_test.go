package slot

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// deliver has an act arrive, and holds what must be true of the answer.
func (f *faults) deliver(act fleet.Act) {
	was := f.s.find(act.Instance)
	repeated, asleep := f.began[numberOf(act)], was != nil && was.State == fleet.Asleep
	err := f.s.do(act)
	f.Note("%s %s of term %d, number %d, GPU %d+%d: %v", act.Kind, act.Instance, act.Term, act.Seq, act.GPU, act.GPUs, err)
	if err != nil {
		f.Reached(whyOf(err))
	}
	switch {
	case act.Term < f.fenced:
		if err == nil {
			f.Fail("%s %s of term %d was accepted after term %d", act.Kind, act.Instance, act.Term, f.fenced)
		}
		return
	case err == nil || f.s.term == act.Term:
		f.fenced = max(f.fenced, act.Term)
	}
	if err != nil {
		return
	}
	if repeated {
		f.Reached("an act came again")
		return
	}
	for _, e := range f.running() {
		if e.i == was && asleep && act.Kind == fleet.ActResume { // one that is on its way has its room: what a later one allows takes it from nobody
			e.sleepers = act.Sleepers
		}
	}
	f.began[numberOf(act)] = true
	switch now := f.s.find(act.Instance); {
	case act.Kind == fleet.ActStop:
		f.stopped[act.Instance] = true
	case act.Kind == fleet.ActLaunch && was == nil && now != nil:
		if f.stopped[act.Instance] {
			f.Fail("%s was launched after it was stopped", act.Instance)
		}
	}
	f.begin(act.Sleepers)
}

// begin has what was accepted become processes.
func (f *faults) begin(sleepers int) {
	for _, i := range f.s.takeAccepted() {
		f.engines = append(f.engines, &simulated{i: i, awake: true, doing: fleet.ActLaunch, sleepers: sleepers})
		f.checkGPUs(f.engines[len(f.engines)-1])
	}
}

// running gives the processes that have not ended.
func (f *faults) running() []*simulated {
	return slices.DeleteFunc(slices.Clone(f.engines), func(e *simulated) bool { return e.ended })
}

// stepEngine has one process do what is next.
func (f *faults) stepEngine() {
	if es := f.running(); len(es) > 0 {
		f.moveOn(es[f.Choose(len(es))])
	}
}

// stepDie ends a process that nobody has ended.
func (f *faults) stepDie() {
	if es := f.running(); len(es) > 0 && f.Choose(3) == 0 {
		f.end(es[f.Choose(len(es))], ending{failure: "killed", cause: fleet.CauseMemory})
	}
}

func (f *faults) end(e *simulated, how ending) {
	f.Note("%s ends: %s", e.i.ID, how.failure)
	e.ended, e.awake = true, false
	f.s.markEnded(e.i, how)
}

// moveOn has a process do what is next: end where it is told to, else take an order, else bring to an end what it does. In which order it notices is open.
func (f *faults) moveOn(e *simulated) {
	quit := false
	select {
	case <-e.i.quit:
		quit = f.Choose(4) < 3 || f.s.closed
	default:
		quit = f.s.closed
	}
	switch {
	case e.ended:
	case quit || e.failed:
		f.end(e, ending{})
	case e.doing != "":
		f.finish(e)
	default:
		select {
		case e.doing = <-e.i.orders:
			if e.doing == fleet.ActResume {
				e.awake = true
				f.checkGPUs(e)
			}
		default:
		}
	}
}

// finish brings to an end what a process does, well or not.
func (f *faults) finish(e *simulated) {
	did, fails := e.doing, f.Choose(8) == 0
	e.doing = ""
	if did == fleet.ActResume && fails && f.Choose(2) == 0 {
		f.Reached("an engine found no memory to wake")
		e.awake = false
		f.s.markParked(e.i, ending{failure: "out of memory", cause: fleet.CauseMemory, short: true})
		return
	}
	if fails {
		e.failed = true // and it is killed: until then it holds what it holds
		f.s.markFailed(e.i, ending{failure: "failed", cause: fleet.CauseEngine})
		return
	}
	switch did {
	case fleet.ActLaunch:
		if e.ready = true; e.i.State == fleet.Stopping {
			f.Reached("an engine was ready after it was told to stop")
		}
		f.s.markPhase(e.i, fleet.PhaseLoading)
		f.s.markReady(e.i, "127.0.0.1:1", e.i.GPUs > 0 && f.Choose(6) > 0)
	case fleet.ActPark:
		e.awake = false
		f.s.markParked(e.i, ending{})
	case fleet.ActResume:
		f.Reached("an engine was resumed")
		if f.Choose(2) == 0 {
			f.s.markResumed(e.i)
		}
		f.s.markGenerated(e.i)
	}
}

// checkGPUs holds, when a process is about to take its GPUs' memory, that nobody else has them.
func (f *faults) checkGPUs(e *simulated) {
	for _, o := range f.running() {
		if o != e && o.awake && e.i.GPUs > 0 && o.i.GPUs > 0 && o.i.GPU < e.i.GPU+e.i.GPUs && e.i.GPU < o.i.GPU+o.i.GPUs {
			f.Fail("%s takes GPUs that %s still holds", e.i.ID, o.i.ID)
		}
	}
	for g := e.i.GPU; g < e.i.GPU+e.i.GPUs; g++ {
		parked := 0
		for _, o := range f.running() {
			if o != e && !o.awake && o.i.GPU <= g && g < o.i.GPU+o.i.GPUs {
				parked++
			}
		}
		if e.sleepers > 0 && parked > e.sleepers {
			f.Fail("%s takes GPU %d beside %d parked ones, %d may be", e.i.ID, g, parked, e.sleepers)
		}
	}
}

// settle takes what the supervisor has said, and holds all promises: it is one step.
func (f *faults) settle() {
	f.Step()
	used := fleet.Bytes(0)
	for _, e := range f.running() {
		if !e.awake {
			used += e.i.model.ParkedMemory
		}
	}
	if used > f.s.cfg.HostMemory {
		f.Fail("parked engines take %d bytes of host memory, of %d", used, f.s.cfg.HostMemory)
	}
	for _, o := range f.s.takeQueue(f.w) {
		f.hear(&o)
	}
}

// hear holds what must be true of a list.
func (f *faults) hear(o *fleet.Observation) {
	if o.Term < f.saidTerm || o.Term == f.saidTerm && o.Seq <= f.saidSeq {
		f.Fail("list %d of term %d came after %d of term %d", o.Seq, o.Term, f.saidSeq, f.saidTerm)
	}
	f.saidTerm, f.saidSeq = o.Term, o.Seq
	holders := make([]string, faultsGPUs)
	for _, s := range o.Instances {
		if f.gone[s.ID] {
			f.Fail("%s is listed after it was gone", s.ID)
		}
		f.gone[s.ID] = s.Gone
		if f.stopping[s.ID] && s.State == fleet.Ready {
			f.Fail("%s is said to be ready after it was said to be stopping", s.ID)
		}
		f.stopping[s.ID] = f.stopping[s.ID] || s.State == fleet.Stopping
		if s.Gone || s.State == fleet.Asleep || f.parkedAndStopping(s.ID) {
			continue
		}
		for g := s.GPU; g < s.GPU+s.GPUs; g++ {
			if holders[g] != "" && s.State != fleet.Stopping && s.State != fleet.Failed {
				f.Fail("%s and %s are said to hold GPU %d", holders[g], s.ID, g)
			}
			if s.State != fleet.Stopping && s.State != fleet.Failed {
				holders[g] = s.ID
			}
		}
	}
}

func (f *faults) parkedAndStopping(id string) bool {
	i := f.s.find(id)
	return i != nil && i.released
}
