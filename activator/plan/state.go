package plan

import (
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/activator/roster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// state is what the planner knows and what it has to say, with an index for each way in which it is looked up. Whoever changes something marks it, so
// that a step looks at what has changed and at nothing else.
type state struct {
	cfg    Config
	roster *roster.Roster

	models     []*model // in the order of the config
	modelOf    map[string]*model
	pools      []*pool
	poolOf     map[string]*pool
	slotOf     map[string]*slot
	nodes      []*node
	nodeOf     map[string]*node
	anywhere   *node       // for those that need no GPU; nil = no source knows nodes
	instances  []*instance // in no order
	instanceOf map[string]*instance
	peers      []*peer

	succession succession // what those before have left

	prefix   string // of the IDs of this life
	made     uint64 // instances and slots made in this life
	acted    uint64 // acts of this life
	stepped  uint64
	rounds   uint64 // of all steps, and what is asked between them
	entered  uint64 // places
	enrolled uint64 // instances
	claimed  uint64 // reservations, and room for slots
	started  time.Duration
	begun    bool
	found    bool // see finds
	closing  bool
	fenced   bool   // a newer server has taken over
	paused   string // why nothing is decided at present, for those who wait; "" = it is
	random   uint64
	view     fleet.ModelView

	largest   int  // see largestNode
	remeasure bool // that must be looked up anew

	leavesLeast time.Duration // no idle instance gives its GPUs back sooner

	dirty       []*model    // to be looked at in this step
	dirtySlots  []*slot     // likewise
	dirtyPools  []*pool     // likewise
	sharesDirty []*instance // whose shares may have to change
	reserved    []*instance // with a reservation
	draining    []*instance
	doubted     []*instance   // on which somebody may have leases who is not heard
	resolveAt   time.Duration // when these are to be looked at again
	unplaced    []*instance   // launched, and not placed by the back end
	ordered     []ordered     // acts to hand over
	freed       []place       // where something was freed since those who wait for room were looked at
	short       []*model      // which wait for room, the most urgent first
	stuck       []*slot       // which the back end has not placed, for want of room; some may be so no longer
	alarms      alarms

	unshown     unshown
	activations []*activation // oldest first, bounded
	activated   uint64

	acts    []fleet.Act
	tables  []*protocol.Table
	notices []fleet.Notice
	learned []fleet.Learned
	ended   []fleet.Activation

	troubled []Trouble
}

func newState(cfg Config) *state {
	prefix := strconv.FormatUint(cfg.Term, termBase) + "-"
	return &state{
		cfg: cfg, prefix: prefix, unshown: unshown{all: true}, random: cfg.Seed, leavesLeast: stopTime, remeasure: true, rounds: 1,
		roster:  roster.New(roster.Config{Epoch: cfg.Epoch, Term: cfg.Term, Fenced: cfg.TTL > 0, Prefix: prefix}),
		modelOf: make(map[string]*model), poolOf: make(map[string]*pool), slotOf: make(map[string]*slot),
		nodeOf: make(map[string]*node), instanceOf: make(map[string]*instance), succession: newSuccession(cfg.Term, cfg.Former),
	}
}

// begin notes when this life began.
func (s *state) begin(now time.Duration) {
	if !s.begun {
		s.begun, s.started = true, now
	}
}

// mark has the model looked at in this step.
func (s *state) mark(m *model) {
	s.unshown.model(m)
	if !m.dirty {
		m.dirty = true
		s.dirty = append(s.dirty, m)
	}
}

// reconsider has the policy asked about the model as well.
func (s *state) reconsider(m *model) {
	m.stale = true
	s.mark(m)
}

// markEverything is for news that may concern anyone.
func (s *state) markEverything() {
	for _, m := range s.models {
		m.search = true
		s.reconsider(m)
	}
	for _, q := range s.pools {
		s.markPool(q)
		for _, t := range q.slots {
			s.markSlot(t)
			s.free(t)
		}
	}
	for _, n := range s.nodes {
		s.free(n)
	}
}

func (s *state) markSlot(t *slot) {
	s.unshown.slot(t)
	if !t.dirty {
		t.dirty = true
		s.dirtySlots = append(s.dirtySlots, t)
	}
}

func (s *state) markPool(q *pool) {
	if !q.dirty {
		q.dirty = true
		s.dirtyPools = append(s.dirtyPools, q)
	}
}

// markShares has the shares of the instance looked at.
func (s *state) markShares(i *instance) {
	if !i.sharesDirty {
		i.sharesDirty = true
		s.sharesDirty = append(s.sharesDirty, i)
	}
}

// free notes that something has become free at a place, or easier to free: those who wait for room look there.
func (s *state) free(at place) {
	if at == nil {
		return
	}
	s.unshown.place(at)
	if c := at.common(); !c.freed {
		c.freed = true
		s.freed = append(s.freed, at)
	}
	if t, is := at.(*slot); is {
		s.markSlot(t)
		s.easier(t)
	}
}

// touched reports whether something has changed in this round that concerns what an instance waits for: at its place, or of its model.
func (s *state) touched(i *instance) bool {
	return i.m.lookedIn == s.rounds || i.at != nil && i.at.common().freed
}

// changed marks all that may look different after a change of the instance: its model, its shares, and who waits for its place.
func (s *state) changed(i *instance) {
	i.effort.round = 0
	s.reconsider(i.m)
	s.markShares(i)
	s.free(i.at)
}

// pool gives the pool of that name, making it known.
func (s *state) pool(name string) *pool {
	q := s.poolOf[name]
	if q == nil {
		q = &pool{Pool: fleet.Pool{Name: name}, largest: -1}
		q.timer = newTimer(func() { s.markPool(q) })
		s.pools = append(s.pools, q)
		s.poolOf[name] = q
		s.unshown.pools = true
	}
	return q
}

// poolFor gives the pool where a model of the config is placed.
func (s *state) poolFor(m *fleet.Model) *pool {
	if m.Pool == "" && s.anywhere == nil {
		return s.pool(fleet.LocalPool)
	}
	return s.pool(m.Pool)
}

// addModel makes a model known.
func (s *state) addModel(fm *fleet.Model) *model {
	m := &model{index: len(s.models)}
	m.timer = newTimer(func() { s.ring(m) })
	m.Model = fm
	s.configure(m, fm)
	s.models = append(s.models, m)
	s.modelOf[m.ID] = m
	for _, d := range s.peers {
		d.demands = append(d.demands, protocol.Demand{})
		d.since = append(d.since, 0)
	}
	return m
}

// ring looks at a model of which something is due: an act, a look of the policy, a limit, or that its instances may now be taken by others.
func (s *state) ring(m *model) {
	m.search = true
	s.mark(m)
	for _, i := range m.instances {
		s.free(i.at)
		if i.order.due != "" {
			s.ordered = append(s.ordered, ordered{i: i})
		}
	}
}

// configure gives the model the values of the config.
func (s *state) configure(m *model, fm *fleet.Model) {
	m.Model, m.capacity = fm, fm.MaxConcurrency
	if m.capacity < 1 {
		m.capacity = defaultCapacity
	}
	s.assign(m, s.poolFor(fm))
	m.search = true
	s.reconsider(m)
}

// assign moves the model to a pool.
func (s *state) assign(m *model, q *pool) {
	if m.pool == q {
		return
	}
	if old := m.pool; old != nil {
		for k, o := range old.models {
			if o == m {
				old.models = append(old.models[:k:k], old.models[k+1:]...)
				break
			}
		}
	}
	m.pool = q
	q.models = append(q.models, m)
}

// newID gives an ID that was never used.
func (s *state) newID(kind string) string {
	s.made++
	return s.prefix + kind + formatID(s.made)
}

func formatID(n uint64) string { return strconv.FormatUint(n, termBase) }

// at gives a moment of this planner's clock as a time.
func (s *state) at(now time.Duration) time.Time { return s.cfg.Epoch.Add(now) }

// clock gives a time on this planner's clock.
func (s *state) clock(t time.Time) time.Duration { return t.Sub(s.cfg.Epoch) }

// jitter gives a fraction in [0, 1).
func (s *state) jitter() float64 {
	s.random += 0x9e3779b97f4a7c15
	return float64(mix(s.random)>>11) / (1 << 53)
}

// tell lets the policy learn.
func (s *state) tell(now time.Duration, e fleet.Event) {
	e.At = s.at(now)
	s.cfg.Policy.Observe(e)
}

// easier notes that rooms at a place may have become cheaper. What that comes to is looked at when it is next free of changes.
func (s *state) easier(at place) {
	if t, is := at.(*slot); is && !t.gone {
		t.pool.sort(t, somethingLeaves)
	}
}
