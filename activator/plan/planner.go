package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/activator/roster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Planner is the machine in the leader that makes every transition of instances. Inputs (Hear, Observe, Accepted, Hold, StopModel …) only note
// what they bring; Step decides, and leaves acts, tables and notices to be taken. It is not safe for concurrent use.
type Planner struct {
	*state
	hearing  *hearing
	demand   *demand
	rooms    *rooms
	sharing  *sharing
	doubts   *doubts
	life     *lifecycle
	parking  *parking
	slots    *slotKeeper
	changes  *reconciler
	claims   *claims
	limits   *limits
	decider  *decider
	orders   *orders
	forecast *forecast
}

// New makes a planner that knows of no instance and no dispatcher.
func New(cfg Config) *Planner {
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	if cfg.Residence == 0 {
		cfg.Residence = defaultResidence
	}
	s := newState(cfg)
	p := &Planner{state: s, hearing: &hearing{s}, demand: &demand{s}, sharing: &sharing{state: s}, doubts: newDoubts(s)}
	p.rooms = &rooms{state: s, demand: p.demand}
	p.life = &lifecycle{s, p.demand}
	p.parking = &parking{s, p.demand, p.life, p.sharing}
	p.slots = &slotKeeper{s, p.demand, p.life}
	p.changes = &reconciler{s, p.demand, p.life, p.parking, p.slots}
	p.claims = &claims{s, p.demand, p.life, p.rooms, p.parking, p.slots}
	p.limits = &limits{s, p.demand, p.life, p.rooms}
	p.decider = &decider{s, p.demand, p.life, p.rooms, p.claims, p.limits}
	p.orders = &orders{s, p.life, p.slots, p.changes}
	p.forecast = &forecast{s, p.rooms}
	for i := range cfg.Pools {
		p.pool(cfg.Pools[i].Name).Pool = cfg.Pools[i]
	}
	for _, m := range cfg.Models {
		p.addModel(m)
	}
	for i := range cfg.Learned {
		if m := p.modelOf[cfg.Learned[i].Model]; m != nil {
			for _, took := range cfg.Learned[i].Durations {
				p.learn(m, cfg.Learned[i].From, took)
			}
		}
	}
	return p
}

// Hear takes a dispatcher's report. It is false where that is not newer than the last.
func (p *Planner) Hear(now time.Duration, r *protocol.Report) bool {
	if !p.hearing.hear(now, r) {
		return false
	}
	for _, instance := range r.Condemned {
		p.Condemn(now, instance)
	}
	return true
}

// Term is this planner's life.
func (p *Planner) Term() uint64 { return p.cfg.Term }

// Observe takes what a source says. It is false where that is older than what the source said before.
func (p *Planner) Observe(now time.Duration, o *fleet.Observation) bool {
	p.begin(now)
	taken := p.roster.Observe(now, o)
	p.changes.apply(now)
	return taken
}

// Accepted takes the back end's answer to an act.
func (p *Planner) Accepted(now time.Duration, act *fleet.Act, err error) {
	p.orders.accepted(now, act, err)
}

// Unsure gives the sources that should be asked for a fresh complete list, and for how many requests engines serve: for the latter each time once.
func (p *Planner) Unsure() []string { return append(p.roster.Unsure(), take(&p.doubts.sources)...) }

// roundsMost bounds how often one step goes through what its own decisions have changed.
const roundsMost = 8

// Step decides until nothing is left to do at this moment. It costs what has changed since the last one.
func (p *Planner) Step(now time.Duration) {
	p.begin(now)
	p.stepped++
	p.roster.Tick(now)
	p.changes.apply(now)
	p.alarms.ring(now)
	p.hearing.lapse(now)
	p.doubts.resolve(now)
	var looked []*model
	if p.decides() {
		for round := 0; round < roundsMost && (round == 0 || len(p.dirty)+len(p.freed) > 0); round++ {
			looked = p.round(now, looked)
		}
	} else {
		p.keepTold(now)
	}
	p.sharing.divideAll(now)
	if p.paused == "" {
		p.orders.issue(now)
	}
	p.forecast.renew(now, looked)
	for _, m := range looked {
		if !m.dirty {
			p.limits.setAlarm(now, m)
		}
	}
	p.sharing.buildTables(now)
}

// keepTold has those who wait told what is true while nothing is decided. What has changed since stays to be looked at.
func (p *Planner) keepTold(now time.Duration) {
	for _, m := range p.dirty {
		if m.waiting > 0 {
			p.forecast.renewOne(now, m)
			p.limits.setAlarm(now, m)
		}
	}
}

// decides reports whether anything may be decided: demand is known, and nobody has suspended the planner.
func (p *Planner) decides() bool { return p.paused == "" && p.hearing.anyone() }

// round looks at everything that has changed, once.
func (p *Planner) round(now time.Duration, looked []*model) []*model {
	before := len(looked)
	p.rounds++
	p.slots.tend(now)
	p.claims.placeAnew(now)
	looked = p.decider.decide(now, looked)
	p.claims.serve(now)
	p.parking.finishDrains(now)
	p.claims.launchReady(now)
	p.rooms.settleFreed()
	for _, m := range looked[before:] {
		m.searching = false
	}
	return looked
}

// Next gives the moment at which Step must be called though nothing happens; false = never.
func (p *Planner) Next(now time.Duration) (time.Duration, bool) {
	at, ok := p.roster.Next()
	if len(p.dirty)+len(p.freed) > 0 && p.decides() {
		return now, true
	}
	if len(p.alarms) > 0 && (!ok || p.alarms[0].at < at) {
		at, ok = p.alarms[0].at, true
	}
	return max(at, now), ok
}

// TakeActs gives the acts since the last call, for the back end. The slices of all Take functions belong to the caller.
func (p *Planner) TakeActs() []fleet.Act { return take(&p.acts) }

// TakeTables gives the tables to be sent.
func (p *Planner) TakeTables() []*protocol.Table { return take(&p.tables) }

// TakeNotices gives the transitions, in order, without IDs.
func (p *Planner) TakeNotices() []fleet.Notice { return take(&p.notices) }

// TakeLearned gives what should be kept over a restart.
func (p *Planner) TakeLearned() []fleet.Learned { return take(&p.learned) }

// TakeEnded gives the activations that have ended.
func (p *Planner) TakeEnded() []fleet.Activation { return take(&p.ended) }

// TakeTroubled gives the places that are avoided from now on.
func (p *Planner) TakeTroubled() []Trouble { return take(&p.troubled) }

// TakeNews gives which sources were lost, or are back.
func (p *Planner) TakeNews() []roster.News { return p.roster.TakeNews() }

// Sources tells how each source stands, in the order of their names.
func (p *Planner) Sources() []fleet.SourceStatus { return p.roster.Sources() }

// HandOver ends a planner in order, and gives what the one of the next term may go by. The planner must not be used any more.
func HandOver(p *Planner, now time.Duration) *protocol.Handover {
	h := handover{p.state}
	return h.leave(now)
}

func take[T any](s *[]T) []T {
	t := *s
	*s = nil
	return t
}
