package admin

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/webhook"
)

// at gives nil for the zero time, which JSON shows as null.
func at(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return &Time{Time: t}
}

// Range bounds a count, both ends included.
type Range struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Model is one model and where it stands. Spans of the config are written as in the config ("5m").
type Model struct {
	ID             string           `json:"id"`
	State          string           `json:"state"` // cold, starting, parked or hot
	GPUs           int              `json:"gpus"`
	Pool           string           `json:"pool"`   // empty = dedicated instances
	Engine         fleet.EngineKind `json:"engine"` // its kind
	Endpoints      []fleet.Endpoint `json:"endpoints"`
	ContextLength  int              `json:"context_length"`
	MaxConcurrency int              `json:"max_concurrency"`
	IdleAfter      string           `json:"idle_after"`
	Instances      Range            `json:"instances"`
	Hot            int              `json:"hot"`
	Starting       int              `json:"starting"`
	Parked         int              `json:"parked"`
	Waiting        int              `json:"waiting"`
	Inflight       int              `json:"inflight"`
	Desired        Desired          `json:"desired"`
	Outlook        Outlook          `json:"outlook"`
	Live           []Instance       `json:"live,omitzero"` // its instances, where one model is asked for; else nil
}

// Desired is the policy's wish for a model.
type Desired struct {
	Hot      int    `json:"hot"`
	Parked   int    `json:"parked"`
	Reason   string `json:"reason"`
	ReviewAt *Time  `json:"review_at"`
}

// Outlook is what a waiting request of the model is told.
type Outlook struct {
	Answer fleet.Answer `json:"answer"`
	Phase  fleet.Phase  `json:"phase"`
	ETAUS  *int64       `json:"eta_us"` // nil = not known
	Reason string       `json:"reason"`
}

// Explanation is what the autoscaler would do about a model now, and why.
type Explanation struct {
	Model     string        `json:"model"`
	Waiting   int           `json:"waiting"`
	Inflight  int           `json:"inflight"`
	Starting  int           `json:"starting"`
	Parked    int           `json:"parked"`
	Hot       []HotInstance `json:"hot"`
	IdleSince *Time         `json:"idle_since"`
	HeldUntil *Time         `json:"held_until"`
	Desired   Desired       `json:"desired"`
	Outlook   Outlook       `json:"outlook"`
	Actions   []string      `json:"actions"`      // in order, for people; empty = nothing to do
	Request   string        `json:"request"`      // what a request that came now would find, for people
	Ahead     string        `json:"ahead"`        // what becomes of the model if none comes; empty = nothing, as far as can be foreseen
	Failure   *Failure      `json:"last_failure"` // nil = none in this life of the server
	Text      string        `json:"text"`         // all of the above in sentences, one a line
}

// Failure is an engine that has failed to start, or soon after.
type Failure struct {
	At       Time        `json:"at"`
	Instance string      `json:"instance"`
	Slot     string      `json:"slot"` // empty = it had none
	Node     string      `json:"node"` // empty = it was not placed
	Cause    fleet.Cause `json:"cause"`
	Reason   string      `json:"reason"` // with the engine's last words, where its place has them
}

// HotInstance is one ready instance in an Explanation.
type HotInstance struct {
	ID        string `json:"id"`
	Leases    int    `json:"leases"`
	IdleSince *Time  `json:"idle_since"`
	ReadyAt   *Time  `json:"ready_at"`
}

// Instance is one engine and where it stands.
type Instance struct {
	ID         string      `json:"id"`
	Model      string      `json:"model"`
	State      fleet.State `json:"state"`
	Phase      fleet.Phase `json:"phase"`
	Slot       string      `json:"slot"` // empty = dedicated
	Node       string      `json:"node"` // of a dedicated one, once it has been placed
	Job        string      `json:"job"`  // of a dedicated one: its name at the back end, where that has jobs
	GPU        int         `json:"gpu"`  // the first of its block in the slot
	GPUs       int         `json:"gpus"`
	Addr       string      `json:"addr"`
	Leases     int         `json:"leases"`
	Breaker    string      `json:"breaker"`
	LaunchedAt *Time       `json:"launched_at"`
	ReadyAt    *Time       `json:"ready_at"`
	IdleSince  *Time       `json:"idle_since"`
	Failure    string      `json:"failure"`
	Spec       *Spec       `json:"spec"`       // what it was launched with; nil = its source does not say
	Configured *Spec       `json:"configured"` // what the config has now, where that is something else
}

// Activation is one move of a model to hot, shared by all who waited for it.
type Activation struct {
	ID       uint64      `json:"id"`
	Model    string      `json:"model"`
	Instance string      `json:"instance"`
	From     fleet.Tier  `json:"from"`
	Reason   string      `json:"reason"`
	BeganAt  Time        `json:"began_at"`
	EndedAt  *Time       `json:"ended_at"` // nil while it runs
	Failure  string      `json:"failure"`
	Phases   []PhaseTime `json:"phases"`
	GPUUS    int64       `json:"gpu_us"`    // for which it held GPUs; 0 while it runs
	WaitedUS int64       `json:"waited_us"` // what the model's requests have waited meanwhile, all together
}

// PhaseTime is the moment at which an activation entered a phase.
type PhaseTime struct {
	Phase fleet.Phase `json:"phase"`
	At    Time        `json:"at"`
}

// Pool is one pool with its slots. Amounts and spans are written as in the config ("1.5TiB", "15m"). The settings are those in force.
type Pool struct {
	Name            string  `json:"name"`
	GPUsPerSlot     int     `json:"gpus_per_slot"`
	NodePool        string  `json:"node_pool"`
	HostMemory      string  `json:"host_memory"`
	MaxParkedPerGPU int     `json:"max_parked_per_gpu"`
	ParkedGPUMemory string  `json:"parked_gpu_memory"`
	LatencyWeight   float64 `json:"latency_weight"`
	SlotIdle        string  `json:"slot_idle"`
	Slots           Range   `json:"slots"`
	Tuned           []Tuned `json:"tuned"` // what of it beats the config
	Live            []Slot  `json:"live"`
}

// Tuned is one setting of a pool that an operator has changed while a server ran.
type Tuned struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	File    string `json:"file"`    // what the config has
	Ignored string `json:"ignored"` // why it is not in force; empty = it is
}

// Slot is one slot of a pool, with what sits on each of its GPUs.
type Slot struct {
	ID           string        `json:"id"`
	Node         string        `json:"node"`
	GPUs         int           `json:"gpus"`
	Pending      bool          `json:"pending"`       // it is on its way
	Outdated     string        `json:"outdated"`      // what of the present config it lacks: nothing new is started there, and it is given back when nothing there is awake; empty = nothing
	Occupants    []string      `json:"occupants"`     // the awake instance on each GPU, "" = free
	Parked       []string      `json:"parked"`        // the instances that are parked there
	Reserved     []Reservation `json:"reserved"`      // blocks that are kept for instances to come
	HostMemory   string        `json:"host_memory"`   // for parked engines; "0B" = no limit
	ParkedMemory string        `json:"parked_memory"` // of it, what parked engines take
}

// Reservation is a block of GPUs that is kept for an instance which is to be started or resumed there.
type Reservation struct {
	Instance string `json:"instance"`
	Model    string `json:"model"`
	GPU      int    `json:"gpu"` // the first of its block in the slot
	GPUs     int    `json:"gpus"`
}

// UsageQuery selects usage. Empty fields select everything; From and To are moments in RFC 3339 or days YYYY-MM-DD, UTC.
type UsageQuery struct {
	Org, From, To string
	By            ledger.By
	Limit         int
	Cursor        string
}

// Usage is one page of usage.
type Usage struct {
	Usage      []ledger.UsageRow `json:"usage"`
	NextCursor *string           `json:"next_cursor"` // nil at the end
}

// Records is one page of usage records, oldest first.
type Records struct {
	Records    []Record        `json:"records"`
	NextCursor *string         `json:"next_cursor"`       // nil at the end
	Damaged    []ledger.Damage `json:"damaged,omitempty"` // blocks that cannot be read, whose records would be in this page
}

// pruneOrder asks for old usage records to be deleted.
type pruneOrder struct {
	Confirm bool `json:"confirm,omitempty"` // the server's clock is right, though it is further ahead than the ledger believes
}

// Pruning says which usage records are being deleted.
type Pruning struct {
	Before Time `json:"before"` // those dispatched before it
}

// Record is one usage record: one dispatched request. Its JSON is the ledger's.
type Record = ledger.Record

// Webhook is an endpoint of the operator's that is sent events, and how it is.
type Webhook struct {
	Name     string         `json:"name"`
	URL      string         `json:"url"` // without query
	Format   webhook.Format `json:"format"`
	Events   []string       `json:"events"`
	State    webhook.State  `json:"state"`
	Reason   string         `json:"reason"`   // of the last failure; where it is held: gone, cursor_lost or too_old; empty = it sends
	Since    *Time          `json:"since"`    // it has been failing or held, in this life of the server; nil = it sends
	Failures int            `json:"failures"` // in a row
}

type webhookList struct {
	Webhooks []Webhook `json:"webhooks"`
}

// resumeOrder has a webhook send again.
type resumeOrder struct {
	From string `json:"from,omitempty"` // start, now, or a record's ID; empty = where it stopped
}

// Event is one transition of an instance.
type Event struct {
	ID       string      `json:"id"` // opaque; what Client.Events resumes after
	At       Time        `json:"at"`
	Model    string      `json:"model"`
	Instance string      `json:"instance"`
	From     fleet.State `json:"from"` // empty for a new instance
	To       fleet.State `json:"to"`   // empty for one that is gone
	Reason   string      `json:"reason"`
	GPUUS    int64       `json:"gpu_us"`    // GPU time of the move: expected where it begins, measured where it has ended; 0 = none, or not known
	WaitedUS int64       `json:"waited_us"` // what requests wait for it, all together, likewise

	Budget *BudgetEvent `json:"budget,omitempty"` // of an event of a budget, whose model and instance are empty
}

// BudgetEvent says that so much of a budget has been spent.
type BudgetEvent struct {
	Org     string `json:"org"`
	TokenID string `json:"token_id"` // whose budget it is; empty = the organisation's
	Percent int    `json:"percent"`  // 50, 80 or 100
	Limit   string `json:"limit_usd"`
	Spent   string `json:"spent_usd"`
	Soft    bool   `json:"soft"`
	Period  string `json:"period"`
	Resets  Time   `json:"resets_at"`
}

// NewBudgetEvent puts a notice into words of the API.
func NewBudgetEvent(n *fleet.BudgetNotice) *BudgetEvent {
	if n == nil {
		return nil
	}
	return &BudgetEvent{n.Org, n.TokenID, n.Percent, n.Limit.String(), n.Spent.String(), n.Soft, n.Period, Time{Time: n.Resets}}
}

// Orphan is something that runs and is in nobody's care. One of another cluster may well be in the care of another Pilotlight.
type Orphan struct {
	ID      string           `json:"id"`
	Kind    fleet.OrphanKind `json:"kind"`
	Why     fleet.OrphanWhy  `json:"why"`
	Cluster string           `json:"cluster"`
	Model   string           `json:"model"`
	Pool    string           `json:"pool"`
	Node    string           `json:"node"` // empty = it is not placed
	GPUs    int              `json:"gpus"`
	Since   Time             `json:"since"`
}

type orphanList struct {
	Orphans []Orphan `json:"orphans"`
}
