package plan

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// check holds the promises that must be true at every moment.
func (h *history) check() {
	for _, s := range h.servers {
		for _, m := range h.models {
			h.checkQueue(s, m)
		}
	}
	for _, q := range h.planner.pools {
		for _, sl := range q.slots {
			h.checkSlot(sl)
		}
	}
	h.checkPlaces()
	h.checkKept()
}

func (h *history) checkQueue(s *server, m *fleet.Model) {
	q, limit := s.d.Queue(m.ID), m.Queue.Limit
	if limit > 0 && q.Waiting > limit {
		h.fail("%s: %d wait for %s, limit %d", s.id, q.Waiting, m.ID, limit)
	}
	waiters := q.Waiting + q.Retries
	if q.Hot || waiters == 0 {
		return
	}
	if q.Answer == fleet.BackingOff || q.Answer == fleet.NeverFits {
		h.fail("%s: %d are kept waiting for %s though it is %s", s.id, waiters, m.ID, q.Answer)
	}
	if q.OnlyHot > 0 {
		h.fail("%s: someone who wants %s only hot waits for it cold", s.id, m.ID)
	}
}

// checkSlot holds that no two awake instances share a GPU, and that blocks are aligned.
func (h *history) checkSlot(s *slot) {
	sum := 0
	for _, i := range h.planner.instances {
		if i.at != place(s) || i.stay != holdsGPU {
			continue
		}
		if !h.mayBeParked(i) {
			sum += i.GPUs
		}
		for g := i.GPU; g < i.GPU+i.GPUs; g++ {
			if s.awake[g] != i && h.own(i.ID) {
				h.fail("GPU %d of %s is not its holder's", g, s.ID)
			}
		}
		if i.GPU%align(i.GPUs) != 0 {
			h.fail("%s lies on GPU %d+%d", i.ID, i.GPU, i.GPUs)
		}
	}
	if is := h.planner.rooms.easeOf(s); is < s.ease && s.ease != somethingLeaves {
		h.fail("%s is kept where rooms are of ease %d, and has one of ease %d", s.ID, s.ease, is)
	}
	h.checkBeds(s)
	if sum > s.GPUs {
		h.fail("%d GPUs are awake on %s, which has %d", sum, s.ID, s.GPUs)
	}
}

// checkPlanner looks at what the planner has just decided.
func (h *history) checkPlanner() {
	p := h.planner
	h.checkView()
	defer h.notePlaces()
	for _, n := range p.TakeNotices() {
		h.checkNotice(&n)
	}
	for _, act := range p.activations {
		if act.ID > h.begun {
			h.begun = act.ID
			h.checkReservation(&act.Activation)
		}
	}
}

func (h *history) checkNotice(n *fleet.Notice) {
	h.note("%s of %s: %q to %q: %s", n.Instance, n.Model, n.From, n.To, n.Reason)
	if i := h.planner.instanceOf[n.Instance]; i != nil && i.at != nil {
		h.places[i.ID] = i.at.common().id
	}
	h.checkSources(n)
	h.noteRoom(n)
	h.notices++
	if n.From == "" && n.To == fleet.Starting {
		h.starts[n.Instance] = h.notices
	}
	if n.To == fleet.Ready { // its place is in order, and so is its model
		for k := range h.failed[n.Model] {
			h.failed[n.Model][k].ofPlace = true
		}
		for m, fs := range h.failed {
			h.failed[m] = slices.DeleteFunc(fs, func(f failedStart) bool { return f.place == h.places[n.Instance] })
		}
	}
	switch {
	case n.Reason == "is being stopped by the back end" && h.ended(n.Instance):
	case n.Reason == unplacedUnneeded || n.Reason == unplacedImpossible || n.Reason == "its slot is gone":
	case n.From == fleet.Starting && (n.To == fleet.Failed || n.To == ""):
		e := h.backend.find(n.Instance)
		ofPlace := strings.Contains(n.Reason, fleet.ErrUnreachable.Error()) || strings.Contains(n.Reason, fleet.ErrPlaceClosed.Error()) || e != nil && e.cause == fleet.CausePlace
		h.failed[n.Model] = append(h.failed[n.Model], failedStart{at: h.now, notice: h.notices, place: h.places[n.Instance], ofPlace: ofPlace})
	case strings.HasPrefix(n.Reason, "nobody waits for it any more: "):
		h.checkAbandoned(n)
	case n.From == fleet.Starting && n.To == fleet.Stopping && n.Reason != "stopped by the operator" && n.Reason != "had failed":
		h.fail("an activation of %s was given up: %s", n.Model, n.Reason)
	}
	wanted, found := strings.CutPrefix(n.Reason, "makes room for ")
	if id, forSlot := strings.CutPrefix(wanted, "slot "); forSlot && n.To == fleet.Draining {
		h.checkRoomForSlot(n, id)
	} else if found && n.To == fleet.Draining {
		m, s := h.planner.modelOf[wanted], h.planner.slotOf[h.places[n.Instance]]
		switch {
		case m != nil && m.pending() > 0:
		case h.reserved[wanted]: // the wish was dropped in the same step, once it had made room
		case m != nil && m.short > 0 && s != nil && s.Outdated != "": // the slot itself is to go, for another one that the model waits for
		default:
			h.fail("%s was moved for %s, which has no reservation", n.Instance, wanted)
		}
	}
}

// checkReservation holds that GPUs are reserved only for demand as last reported or for a wish, no sooner than the back-off allows.
func (h *history) checkReservation(act *fleet.Activation) {
	m := h.planner.modelOf[act.Model]
	if act.Reason == "adopted" {
		return
	}
	allowed := max(h.policy.wished[m.ID], m.desired.Hot, m.Instances.Min)
	for _, s := range h.heard {
		if s[m.ID].Waiting > 0 {
			allowed = max(allowed, 1)
		}
	}
	if h.held[m.ID] > h.now {
		allowed = max(allowed, 1)
	}
	if n := m.hot() + m.pending(); n > allowed {
		h.fail("%d instances of %s where demand and wishes ask for %d", n, m.ID, allowed)
	}
	if most, n := m.Instances.Max, m.hot()+m.pending()+m.going(); most > 0 && n > most {
		h.fail("%d instances of %s awake, instances.max is %d", n, m.ID, most)
	}
	h.checkBackoff(m, h.planner.instanceOf[act.Instance])
}

// checkKnown holds that the planner has forgotten nothing that is there.
func (h *history) checkKnown() {
	for _, e := range h.backend.engines {
		if !e.gone && h.own(e.ID) && h.planner.instanceOf[e.ID] == nil {
			h.fail("%s is there, and the planner has forgotten it", e.ID)
		}
	}
}

// own reports whether an instance ID was made in this life of the planner.
func (h *history) own(id string) bool { return strings.HasPrefix(id, h.planner.prefix) }

// failedStart is a start that has failed in this planner's life.
type failedStart struct {
	at      time.Duration
	notice  int // of its failure
	place   string
	ofPlace bool // the place was to blame
}

// notePlaces remembers where the planner has its instances, and what it reserves for whom.
func (h *history) notePlaces() {
	for _, m := range h.planner.models {
		h.reserved[m.ID] = m.pending() > 0
	}
	for _, i := range h.planner.instances {
		if i.at != nil {
			h.places[i.ID] = i.at.common().id
		}
	}
}

// checkBackoff holds that a failed start is repeated at once only elsewhere, and only once.
func (h *history) checkBackoff(m *model, i *instance) {
	places, own := make(map[string]bool), make(map[string]bool)
	started := math.MaxInt
	if i != nil && h.starts[i.ID] > 0 {
		started = h.starts[i.ID]
	}
	for _, f := range h.failed[m.ID] {
		if h.now < f.at+time.Second && f.notice < started { // what fails in the same step may fail in a later round of it
			places[f.place] = true
			if !f.ofPlace {
				own[f.place] = true
			}
		}
	}
	again := i != nil && i.at != nil && i.from == fleet.Cold // one that is resumed has started before
	if len(own) > 1 || again && places[i.at.common().id] {
		h.fail("%s was started within a second of a failed start, where it failed or after another place had failed too", m.ID)
	}
}

// checkAbandoned holds that a start is given up only for those who wait, and only where nobody has waited for it for a while.
func (h *history) checkAbandoned(n *fleet.Notice) {
	whom := strings.TrimPrefix(n.Reason, "nobody waits for it any more: makes room for ")
	wanted, m := h.planner.modelOf[whom], h.planner.modelOf[n.Model]
	if id, forSlot := strings.CutPrefix(whom, "slot "); forSlot {
		h.checkRoomForSlot(n, id)
	} else if wanted == nil || wanted.waiting == 0 || wanted.pending() == 0 {
		h.fail("a start of %s was given up, and nobody waits for what it makes room for: %s", n.Model, n.Reason)
	}
	if m.waiting > 0 || h.now < m.lastDemand+abandonedAfter {
		h.fail("a start of %s was given up that was wanted %s ago", n.Model, h.now-m.lastDemand)
	}
}
