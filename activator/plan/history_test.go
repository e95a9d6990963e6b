package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// history is one random run of both machines: a planner, two dispatchers, a network that loses, delays, doubles and reorders, and a back
// end whose engines fail. Every choice comes from the chooser, so that a history replays and shrinks.
type history struct {
	faultsim.History
	now        time.Duration
	epoch      time.Time
	models     []*fleet.Model
	ttl        time.Duration
	self       string // the server in whose process the planner lives; "" = in none's
	world      world
	supervised bool // each slot's engines are told by its own source
	pool       fleet.Pool
	parks      bool            // the engines of slots can be parked
	uncounted  map[string]bool // models whose engines do not say how many requests they serve, until the faults end

	planner  *Planner
	former   *leader // nil = nobody leads on who was replaced
	lock     lock
	unsure   bool // the leader is not certain to lead
	view     View
	term     uint64
	policy   *wisher
	servers  []*server
	net      []packet
	drawer   []packet // copies that the network has kept, to bring them late
	backend  *backend
	begun    uint64                                // activations seen
	failed   map[string][]failedStart              // model -> its last failed start in this planner's life
	places   map[string]string                     // instance -> where the planner has it, or had it
	notices  int                                   // seen
	starts   map[string]int                        // instance -> the notice of its start
	reserved map[string]bool                       // models that had a reservation, or one that was started, after the last step
	notMost  map[string]map[string]bool            // instance -> slots and instances that need not be counted against instances.max when its launch or resume was ordered
	heard    map[string]map[string]protocol.Demand // server -> model -> what this planner last heard
	told     *told                                 // what this planner was told of places
	held     map[string]time.Duration              // model -> held by the operator until
	cut      []bool                                // servers that the network does not reach
	kinds    []kind                                // of steps of this history, some more than once
	eager    int                                   // of 4 steps, so many are followed by delivery of everything
	calmAt   time.Duration                         // when the faults ended; 0 = not yet
	moment   int64
	ops      []porcupine.Operation // on leases
}

// packet is one message on its way.
type packet struct {
	server  int // -1 = between planner and backend
	deliver func()
	what    string
}

func (h *history) fail(format string, args ...any) {
	h.Fail("at %s: %s", h.now, fmt.Sprintf(format, args...))
}

func (h *history) note(format string, args ...any) {
	if h.Logs() {
		h.Note("%8s %s", h.now.Round(time.Millisecond), fmt.Sprintf(format, args...))
	}
}

// reach counts a rare state.
func (h *history) reach(state string) { h.Reached(state) }

// choose gives 0 to n-1.
func (h *history) choose(n int) int { return h.Choose(n) }

// pick chooses one of a list.
func pick[T any](h *history, s []T) T { return faultsim.Pick(h.Tape, s) }

type kind = faultsim.Kind

func newHistory(t *faultsim.Tape, w world) *history {
	h := &history{
		History: faultsim.History{Tape: t}, world: w, epoch: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), now: time.Second,
		notMost: make(map[string]map[string]bool), uncounted: make(map[string]bool),
		held: make(map[string]time.Duration), cut: make([]bool, 2),
	}
	h.ttl = pick(h, []time.Duration{0, 20 * time.Second, 60 * time.Second})
	if h.ttl > 0 && h.choose(2) == 0 {
		h.self = "s0"
	}
	h.supervised = w == mixedWorld || w == slotsWorld && h.choose(3) > 0
	if w != nodesWorld {
		h.pool = newPool(h)
	}
	for i := range 2 + h.choose(3) {
		h.models = append(h.models, &fleet.Model{
			ID: fmt.Sprint("m", i), GPUs: pick(h, []int{1, 1, 2, 4, 8}), MaxConcurrency: 1 + h.choose(4), Pool: h.pool.Name,
			IdleAfter: pick(h, []time.Duration{0, time.Second, 20 * time.Second}), Instances: fleet.Range{Max: 1 + h.choose(3)},
			Queue:        fleet.QueueLimits{Limit: pick(h, []int{0, 3, 8}), PerOrg: pick(h, []int{0, 2}), MaxWait: pick(h, []time.Duration{0, 0, time.Minute})},
			ParkedMemory: fleet.Bytes(h.choose(4)),
			Timeouts:     fleet.Timeouts{Start: pick(h, []time.Duration{time.Minute, 3 * time.Minute})}, // a launch whose every trace is lost ends by it
		})
		h.uncounted[h.models[i].ID] = h.choose(6) == 0
	}
	h.policy = &wisher{h: h, inner: autoscaler.NewFixed(autoscaler.FixedConfig{}), wild: h.choose(3) == 0, wished: make(map[string]int)}
	if w == slotsWorld {
		h.backend = newBackend(h)
	} else {
		h.backend = newNodes(h)
		for _, m := range h.models {
			if w == mixedWorld && h.choose(2) == 0 {
				continue
			}
			if m.Pool = ""; h.choose(8) == 0 {
				m.GPUs = 0
			}
		}
	}
	for i := range 2 {
		h.servers = append(h.servers, &server{h: h, n: i, id: fmt.Sprint("s", i), offset: time.Duration(h.choose(100)) * time.Hour})
		h.servers[i].restart()
	}
	h.startPlanner()
	h.chooseKinds()
	return h
}

// chooseKinds decides which steps this history has, and how often.
func (h *history) chooseKinds() {
	all := []kind{
		{Name: "ask", Do: h.stepAsk},
		{Name: "ask", Do: h.stepAsk},
		{Name: "release", Do: h.stepRelease},
		{Name: "leave", Do: h.stepLeave},
		{Name: "time", Do: h.stepTime},
		{Name: "deliver", Do: h.stepDeliver},
		{Name: "message lost", Do: h.stepLose},
		{Name: "message doubled", Do: h.stepDouble},
		{Name: "engine moves on, fails or dies", Do: h.stepEngine},
		{Name: "list", Do: h.stepObserve},
		{Name: "liveness", Do: h.stepLiveness},
		{Name: "network cut or mended", Do: h.stepCut},
		{Name: "operator", Do: h.stepOperator},
		{Name: "breaker", Do: h.stepBreaker},
		{Name: "server crashes", Do: h.stepCrashServer},
		{Name: "long time", Do: h.stepLongTime},
		{Name: "message late", Do: h.stepLate},
		{Name: "message late", Do: h.stepLate},
	}
	if h.ttl > 0 {
		all = append(all,
			kind{Name: "leader crashes", Do: h.stepCrashPlanner},
			kind{Name: "leader is replaced and lives on", Do: h.stepReplaceLeader},
			kind{Name: "leader hands over", Do: h.stepHandOver},
			kind{Name: "leader hands over", Do: h.stepHandOver},
			kind{Name: "leader is not certain to lead", Do: h.stepUnsure},
			kind{Name: "server ends in order", Do: h.stepGoServer})
	} else {
		all = append(all, kind{Name: "process restarts", Do: h.stepRestart})
	}
	if h.parks {
		all = append(all, kind{Name: "engine moves on, fails or dies", Do: h.stepEngine}, kind{Name: "engine moves on, fails or dies", Do: h.stepEngine})
	}
	if h.pool.Slots.Max > 0 {
		all = append(all, kind{Name: "slots outdated", Do: h.stepOutdated})
	}
	if h.pool.GPUsPerSlot > 0 {
		all = append(all, kind{Name: "slot placed or lost", Do: h.stepSlot})
	}
	if h.world != slotsWorld {
		all = append(all, kind{Name: "probe", Do: h.stepProbe}, kind{Name: "Consul forgets", Do: h.stepConsul}, kind{Name: "Consul is stale", Do: h.stepStaleConsul}, kind{Name: "Nomad forgets", Do: h.stepForget}, kind{Name: "probe is deaf", Do: h.stepDeaf}, kind{Name: "node", Do: h.stepNode}, kind{Name: "node", Do: h.stepNode})
	}
	if h.world != slotsWorld || h.supervised {
		all = append(all, kind{Name: "source lost or found", Do: h.stepOutage}, kind{Name: "source lost or found", Do: h.stepOutage}, kind{Name: "list", Do: h.stepListOne}, kind{Name: "slow list", Do: h.stepSlowList})
	}
	if h.supervised {
		all = append(all, kind{Name: "condition", Do: h.stepCondition}, kind{Name: "slot closes", Do: h.stepClose}, kind{Name: "clock of a slot", Do: h.stepSkew})
	}
	all = append(all, kind{Name: "engine hangs", Do: h.stepHang}, kind{Name: "disk full", Do: h.stepDisk})
	h.kinds = h.Swarm(all...)
	for range pick(h, []int{0, 4, 12}) {
		h.kinds = append(h.kinds, kind{Name: "all goes well", Do: h.stepWell}, kind{Name: "many ask", Do: h.stepCrowd}, kind{Name: "release", Do: h.stepRelease})
	}
	h.kinds = append(h.kinds, kind{Name: "ask", Do: h.stepAsk}, kind{Name: "deliver", Do: h.stepDeliver}, kind{Name: "engine moves on, fails or dies", Do: h.stepEngine}, kind{Name: "time", Do: h.stepTime})
	h.eager = h.choose(5)
}

// run plays the history: a wild phase, then a calm one in which every waiter must be answered and every engine must go.
func (h *history) run() error {
	if h.choose(3) > 0 {
		h.stepObserve()
	} else {
		h.stepListOne()
	}
	h.deliverAll()
	err := h.Play(h.kinds, func() {
		h.settle()
		if h.choose(4) < h.eager {
			h.deliverAll()
		}
	}, func() {
		if h.calmDown(); !h.Broken() {
			h.CheckLinear(leaseModel, h.ops, "what was leased")
		}
	})
	if err != nil {
		h.dump()
	}
	return err
}

func (h *history) startPlanner() {
	h.term++
	var pools []fleet.Pool
	if h.world != nodesWorld {
		pools = []fleet.Pool{h.pool}
	}
	h.planner = New(Config{
		Policy: h.policy, Models: h.models, Pools: pools, Term: h.term, Epoch: h.epoch, Seed: h.term, TTL: h.ttl, Resend: time.Second, Self: h.self, Former: h.takeLock(),
	})
	h.failed, h.places, h.starts, h.reserved = make(map[string][]failedStart), make(map[string]string), make(map[string]int), make(map[string]bool)
	h.heard = make(map[string]map[string]protocol.Demand)
	h.begun, h.told, h.unsure = 0, newTold(), false
	h.held = make(map[string]time.Duration)
	h.backend.term = h.term // the fence
	h.planner.begin(h.now)
}

// settle lets every part do what is due, puts what it says on the network, and holds all promises: it is one step.
func (h *history) settle() {
	h.Step()
	for _, s := range h.servers {
		s.step()
	}
	p := h.planner
	for _, m := range p.models {
		h.policy.wished[m.ID] = m.desired.Hot
	}
	p.Step(h.now)
	h.checkPlanner()
	for _, t := range p.TakeTables() {
		h.sendTable(h.self, t)
	}
	for _, act := range p.TakeActs() {
		if h.unsure {
			h.fail("a leader that is not certain to lead orders %s %s", act.Kind, act.Instance)
		}
		h.backend.ordered(act)
		h.send(-1, "act", func() { h.backend.do(act, true) })
	}
	p.TakeLearned()
	p.TakeEnded()
	h.stepFormer()
	h.check()
}

func (h *history) indexOf(id string) int {
	return slices.IndexFunc(h.servers, func(s *server) bool { return s.id == id })
}

func (h *history) send(server int, what string, deliver func()) {
	m := packet{server: server, deliver: deliver, what: what}
	h.net = append(h.net, m)
	if what != "act" && what != "accepted" && h.choose(8) == 0 {
		h.drawer = append(h.drawer, m)
	}
}

func (h *history) deliver(k int) {
	m := h.net[k]
	h.net = slices.Delete(h.net, k, k+1)
	if m.server >= 0 && h.cut[m.server] {
		return
	}
	h.note("deliver %s %d", m.what, m.server)
	m.deliver()
	h.settle()
}

// deliverAll delivers in order until nothing is on its way.
func (h *history) deliverAll() {
	for range 1000 + 8*len(h.net) {
		if len(h.net) == 0 || h.Broken() {
			return
		}
		h.deliver(0)
	}
	h.fail("messages without end: %s", h.net[0].what)
}

// wisher is the fixed policy, but sometimes it wishes what nobody needs.
type wisher struct {
	h      *history
	inner  Policy
	wild   bool
	wished map[string]int // model -> the most wished in this step
}

func (w *wisher) Observe(e fleet.Event) { w.inner.Observe(e) }

func (w *wisher) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	d := w.inner.Decide(now, v)
	if w.wild && mix(uint64(now.Unix()/20)^fnv(v.Model.ID))%3 == 0 {
		d.Hot, d.HotValue, d.Reason = 1, float64(mix(fnv(v.Model.ID))%100), "on a whim"
		d.ReviewAt = now.Truncate(20 * time.Second).Add(20 * time.Second)
	}
	if w.h.parks {
		d.Parked, d.ParkedValue = int(mix(fnv(v.Model.ID))%4), float64(mix(fnv(v.Model.ID)+1)%10)
	}
	w.wished[v.Model.ID] = max(w.wished[v.Model.ID], d.Hot)
	return d
}
