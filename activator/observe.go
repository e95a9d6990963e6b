package activator

import (
	"math"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// source is one observer's name and the version of its last word.
type source struct {
	name      string
	term, seq uint64
	places    bool // it knows slots or nodes: it is believed for existence
	slots     bool // it knows slots
	nodes     bool // it knows nodes
	lost      bool // it is unreachable
}

// Observe takes what a source says, unless it is older than what it said before; the same said again is news of its moment. Sources without versions (Seq 0) are taken in the order
// in which they speak.
func (p *Planner) Observe(now time.Duration, o *fleet.Observation) bool {
	src := p.source(o.Source)
	if p.cfg.TTL > 0 && o.Term > 0 && o.Term < p.cfg.Term {
		return false // asked before the source knew of this life: an act of the one before may have followed
	}
	if o.Seq > 0 {
		if protocol.Newer(src.term, src.seq, o.Term, o.Seq) {
			return false
		}
		src.term, src.seq = o.Term, o.Seq
	}
	p.begin(now)
	p.accrue(now)
	src.lost = false
	src.slots = src.slots || len(o.Slots) > 0 || o.Slots != nil && o.Complete
	p.seeSlots(now, src, o)
	p.seeNodes(src, o)
	src.places = src.slots || src.nodes
	for k := range o.Instances {
		p.sight(now, src, o.At, &o.Instances[k])
	}
	if o.Complete && src.places {
		p.bury(now, src, o)
		p.complete = true
	} else if o.Complete && src.name != probeSource {
		p.missAbsent(now, src, o)
	}
	return true
}

func (p *Planner) source(name string) *source {
	for _, s := range p.sources {
		if s.name == name {
			return s
		}
	}
	s := &source{name: name}
	p.sources = append(p.sources, s)
	return s
}

// seeSlots learns of slots, and of those that are no longer there.
func (p *Planner) seeSlots(now time.Duration, src *source, o *fleet.Observation) {
	for k := range o.Slots {
		p.seeSlot(now, src, &o.Slots[k])
	}
	if !o.Complete {
		return
	}
	for _, s := range p.slots {
		listed := slices.ContainsFunc(o.Slots, func(t fleet.Slot) bool { return t.ID == s.ID })
		if s.source == src && !listed {
			p.loseSlot(now, s)
		}
	}
}

func (p *Planner) seeSlot(now time.Duration, src *source, seen *fleet.Slot) {
	name := seen.Pool
	if name == "" {
		name = fleet.LocalPool
	}
	s := p.slotOf(seen.ID)
	if s == nil {
		s = &slot{quietAt: now, askedAt: now}
		p.slots = append(p.slots, s)
	}
	if s.Pending && !seen.Pending {
		p.arrived(now, s)
	}
	s.Slot, s.source, s.lost = *seen, src, false
	s.Pool = name
	for len(s.awake) < seen.GPUs {
		s.awake = append(s.awake, nil)
	}
	q := p.pool(name)
	q.largest = max(q.largest, seen.GPUs)
}

// sight takes one instance as a source sees it.
func (p *Planner) sight(now time.Duration, src *source, asked time.Time, s *fleet.Sighting) {
	i := p.byID[s.ID]
	if i == nil {
		if s.Gone || p.own(s.ID) || p.buried[s.ID] || !src.places {
			return // it was here and is gone, or this source is not believed for existence
		}
		i = p.adopt(now, s)
	}
	if i.slot == nil {
		p.locate(now, i)
	}
	if !slices.Contains(i.listedBy, src) {
		i.listedBy = append(i.listedBy, src)
	}
	i.canPark = i.canPark || s.Parks && src.slots
	if s.Addr != "" && (src.places || i.Addr == "") {
		i.Addr = s.Addr
	}
	if s.Running >= 0 {
		i.running, i.runningAt, i.asked = s.Running, p.clock(asked), true
	}
	switch {
	case !src.places:
		p.vouch(now, src, asked, i, s)
	case s.Gone:
		if i.State != fleet.Asleep { // one that was parked lacked none
			p.makeMemory(now, i, s)
		}
		p.gone(now, i, s.Failure)
	case src.nodes && !src.slots && s.State == fleet.Stopping && i.State == fleet.Ready:
		p.dismiss(now, i, "is being stopped by the back end") // its machine is drained: no fault of the engine
	case src.slots && s.State == fleet.Asleep && s.Failure != "":
		p.relapse(now, i, s)
	case s.Failure != "" && s.Unplaced == "":
		p.makeMemory(now, i, s)
		p.ail(now, i, s.Failure)
	case src.slots && (s.State == fleet.Parking || s.State == fleet.Asleep):
		p.seeAsleep(now, i, s.State)
	default:
		if src.nodes && i.Slot == "" {
			p.follow(now, i, s)
		}
		p.welcome(now, src, i, s)
	}
}

// ail takes the news that an instance which is still there has failed.
func (p *Planner) ail(now time.Duration, i *instance, why string) {
	switch i.State {
	case fleet.Starting, fleet.Resuming:
		p.fail(now, i, why)
	case fleet.Ready:
		i.failure = why
		p.dismiss(now, i, why) // its streams end by themselves
		p.countFailure(now, i)
	case fleet.Draining:
		i.parks = false
	case fleet.Parking, fleet.Asleep:
		i.failure = why
		p.stop(now, i, why)
	}
}

// adopt takes an instance of an earlier life.
func (p *Planner) adopt(now time.Duration, s *fleet.Sighting) *instance {
	m := p.byModel[s.Model]
	if m == nil { // no longer in the config
		m = p.addModel(&fleet.Model{ID: s.Model, GPUs: s.GPUs})
		m.unlisted = true
	}
	i := &instance{
		Instance: s.Instance, m: m, launched: true, adopted: true, from: fleet.Cold, phase: s.Phase, reason: "adopted",
		began: now, launchedAt: now, room: math.MaxInt64, holds: make([]hold, len(p.peers)),
	}
	switch i.State = fleet.Starting; s.State {
	case fleet.Parking, fleet.Asleep, fleet.Resuming:
		i.State, i.inHost, i.drainedAt = s.State, true, now
		if s.State == fleet.Resuming {
			i.from = fleet.Parked
		}
		i.adopted = i.State != fleet.Asleep // nobody can have a lease on one that is parked
	}
	if i.Slot == "" && i.GPUs == 0 {
		i.GPUs = m.GPUs
	}
	i.Node = "" // see follow
	p.enroll(i)
	p.locate(now, i)
	p.note(now, i, "", "adopted")
	if s.State == fleet.Stopping || s.State == fleet.Failed {
		i.inHost = true // it may have been parked
		p.stop(now, i, "was being stopped")
	} else if m.unlisted {
		p.dismiss(now, i, "the model is no longer in the config")
	}
	return i
}

// locate enters an adopted instance on its slot, once that is known.
func (p *Planner) locate(now time.Duration, i *instance) {
	if i.Slot == "" && p.anywhere != nil {
		p.expect(now, i)
		return
	}
	if at := slices.IndexFunc(p.slots, func(t *slot) bool { return t.ID == i.Slot }); at >= 0 {
		i.slot = p.slots[at]
		if i.State == fleet.Asleep {
			p.settleIn(i)
		} else {
			p.occupy(now, i)
		}
	}
}

// bury takes away what a complete list of a source that is believed for existence no longer has: an instance that this source had listed before; and one
// whose stop was accepted before the list was asked for, for then its launch came to nothing.
func (p *Planner) bury(now time.Duration, src *source, o *fleet.Observation) {
	for _, i := range slices.Clone(p.instances) {
		if !i.launched || listed(o, i.ID) {
			continue
		}
		never := i.unseen() && i.slot.source == src && p.clock(o.At) > i.stoppedAt
		if slices.Contains(i.listedBy, src) || never || p.unsound.forget {
			p.gone(now, i, i.failure)
		}
	}
}

// unseen reports whether the instance was stopped before the source that knows its slot had listed it.
func (i *instance) unseen() bool {
	return i.stopped && i.slot != nil && !slices.Contains(i.listedBy, i.slot.source)
}

func listed(o *fleet.Observation, id string) bool {
	return slices.ContainsFunc(o.Instances, func(s fleet.Sighting) bool { return s.ID == id })
}
