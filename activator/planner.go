package activator

import (
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	defaultPatience  = 10 * time.Second // a model waits this long before a busy instance is drained for it
	defaultResidence = time.Minute      // and that instance has been hot at least this long
	linger           = time.Minute      // a reservation that nobody needs any more is kept this long
	settled          = 30 * time.Second // an instance that was ready this long was no failed start
)

// PlannerConfig is what a Planner needs. Policy is required.
type PlannerConfig struct {
	Policy    Policy
	Models    []*fleet.Model
	Pools     []fleet.Pool
	Learned   []fleet.Learned
	Term      uint64        // this life; larger than any before
	Epoch     time.Time     // the moment that is 0 on this planner's clock
	Seed      uint64        // of the jitter
	IdleCost  float64       // what idle GPU time in a pool's slots counts, 0 to 1: they are held anyway
	Patience  time.Duration // 0 = 10 s
	Residence time.Duration // 0 = 60 s
	TTL       time.Duration // how long a table is good for; 0 = for ever: the dispatcher lives and dies with this process
	Resend    time.Duration // a table that is not acknowledged is sent again so often; 0 = never
}

// Planner is the machine in the leader that makes every transition of instances. Inputs (Hear, Observe, Accepted, Hold, StopModel) only note
// what they bring; Settle decides, and leaves acts, tables and notices to be taken. It is not safe for concurrent use.
type Planner struct {
	cfg       PlannerConfig
	models    []*model          // in the order of the config
	byModel   map[string]*model // model ID -> model
	pools     []*pool
	slots     []*slot
	nodes     []*slot              // of a back end that places instances by itself
	anywhere  *slot                // a node for those that need no GPU; nil = no source knows nodes
	instances []*instance          // in the order in which they were made
	byID      map[string]*instance // instance ID -> instance
	buried    map[string]bool      // adopted instances that are gone: a late sighting must not bring them back
	peers     []*peer
	sources   []*source
	prefix    string // of the instance IDs of this life
	made      uint64 // instances made in this life
	acted     uint64 // acts of this life
	started   time.Duration
	begun     bool
	complete  bool // some source has given a complete list
	closing   bool
	random    uint64
	view      fleet.ModelView
	needy     []*model
	round     []*instance // of everyone

	activations []*activation // oldest first, bounded
	activated   uint64

	acts    []fleet.Act
	tables  []*Table
	notices []fleet.Notice
	learned []fleet.Learned
	ended   []fleet.Activation

	unsound unsound
}

// NewPlanner makes a planner that knows of no instance and no dispatcher.
func NewPlanner(cfg PlannerConfig) *Planner {
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	if cfg.Residence == 0 {
		cfg.Residence = defaultResidence
	}
	p := &Planner{
		cfg: cfg, byModel: make(map[string]*model), byID: make(map[string]*instance), buried: make(map[string]bool),
		prefix: strconv.FormatUint(cfg.Term, 36) + "-", random: cfg.Seed,
	}
	for _, m := range cfg.Models {
		p.addModel(m)
	}
	for i := range cfg.Pools {
		p.pool(cfg.Pools[i].Name).Pool = cfg.Pools[i]
	}
	for i := range cfg.Learned {
		if m := p.byModel[cfg.Learned[i].Model]; m != nil {
			for _, took := range cfg.Learned[i].Durations {
				m.past(cfg.Learned[i].From).add(took)
			}
		}
	}
	return p
}

// Settle decides until nothing is left to do at this moment.
func (p *Planner) Settle(now time.Duration) {
	p.begin(now)
	p.accrue(now)
	if p.complete && p.heardAnyone() {
		p.overdue(now)
		p.replan(now)
		p.tendSlots(now)
		p.decide(now)
		p.clearClaims(now)
		p.finishDrains(now)
		p.launchClaims(now)
	}
	p.share(now)
	p.issue(now)
	p.buildTables(now)
}

// begin notes when this life began.
func (p *Planner) begin(now time.Duration) {
	if !p.begun {
		p.begun, p.started = true, now
	}
}

// Next gives the moment at which Settle must be called though nothing happens; false = never.
func (p *Planner) Next(now time.Duration) (time.Duration, bool) {
	next := alarm{now: now}
	for _, m := range p.models {
		p.modelAlarms(m, &next)
	}
	for _, i := range p.instances {
		p.instanceAlarms(i, &next)
	}
	for _, s := range p.slots {
		p.slotAlarms(s, &next)
	}
	for _, q := range p.pools {
		next.due(q.retryAt)
	}
	for _, d := range p.peers {
		p.peerAlarms(d, &next)
	}
	return next.at, next.set
}

// alarm is the earliest of the moments after now that it was told.
type alarm struct {
	now, at time.Duration
	set     bool
}

func (a *alarm) due(t time.Duration) {
	if t > a.now && (!a.set || t < a.at) {
		a.at, a.set = t, true
	}
}

// TakeActs gives the acts since the last call, for the back end. The slices of all Take functions belong to the caller.
func (p *Planner) TakeActs() []fleet.Act { return take(&p.acts) }

// TakeTables gives the tables to be sent.
func (p *Planner) TakeTables() []*Table { return take(&p.tables) }

// TakeNotices gives the transitions, in order, without IDs.
func (p *Planner) TakeNotices() []fleet.Notice { return take(&p.notices) }

// TakeLearned gives what should be kept over a restart.
func (p *Planner) TakeLearned() []fleet.Learned { return take(&p.learned) }

// TakeEnded gives the activations that have ended.
func (p *Planner) TakeEnded() []fleet.Activation { return take(&p.ended) }

func take[T any](s *[]T) []T {
	t := *s
	*s = nil
	return t
}

// everyone gives the instances that there are now, so that some may go meanwhile. Calls do not nest.
func (p *Planner) everyone() []*instance {
	p.round = append(p.round[:0], p.instances...)
	return p.round
}

// at gives a moment of this planner's clock as a time.
func (p *Planner) at(now time.Duration) time.Time { return p.cfg.Epoch.Add(now) }

// clock gives a time on this planner's clock.
func (p *Planner) clock(t time.Time) time.Duration { return t.Sub(p.cfg.Epoch) }

// own reports whether an instance ID was made in this life.
func (p *Planner) own(id string) bool { return strings.HasPrefix(id, p.prefix) }

// jitter gives a fraction in [0, 1).
func (p *Planner) jitter() float64 {
	p.random += 0x9e3779b97f4a7c15
	return float64(mix(p.random)>>11) / (1 << 53)
}
