package account

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Config is what New needs.
type Config struct {
	Memory int64 // bytes of all bodies held at once; at least 1

	// Cost gives what a request costs that is paid for so long, at a price of one GPU for one hour: exact, rounded to a nano-dollar in either direction by
	// half of one at most, never less for a longer time. nil = requests cost nothing, and there are no budgets.
	Cost func(billed time.Duration, gpus int, price fleet.NanoUSD) fleet.NanoUSD

	Quota      Quota         // where servers that share a store draw from budgets; nil = this is the only one
	DrawWithin time.Duration // the longest that a request, or the end of one, waits for Quota; 0 = a second
	Shares     Shares        // where servers share limits of requests at once; nil = this is the only one
	AskWithin  time.Duration // the longest that a request waits for Shares; 0 = 50 ms
}

// Accounts are those of all organisations. They are safe for concurrent use.
type Accounts struct {
	memory  memory
	orgs    sync.Map // name -> *Org
	tokens  sync.Map // ID -> *Token
	metrics *metrics.Set

	meters  sync.Map // name of an organisation -> *meter
	cost    func(time.Duration, int, fleet.NanoUSD) fleet.NanoUSD
	made    time.Time // what the meters' moments are counted from
	timer   func(fire func()) *time.Timer
	notices notices
	quota   Quota // nil = there are no other servers
	within  time.Duration
	shared  *sharing // nil = there are no other servers
}

// New makes accounts that nobody uses yet.
func New(c Config) *Accounts {
	a := &Accounts{cost: c.Cost, quota: c.Quota, within: cmp.Or(c.DrawWithin, drawWithin), made: time.Now(), timer: idleTimer, notices: notices{some: make(chan struct{}, 1)}}
	a.memory.size = c.Memory
	if c.Shares != nil {
		a.shared = &sharing{shares: c.Shares, within: cmp.Or(c.AskWithin, askWithin), made: a.made}
	}
	a.metrics = a.newMetrics()
	return a
}

// Org is the account of one organisation.
type Org struct {
	Name string

	all      *Accounts
	held     atomic.Int64          // bytes of memory
	requests [stages]atomic.Int64  // by the stage that they are in
	meter    atomic.Pointer[meter] // nil until it is first needed

	gates sync.Mutex // makes the taking of its own limits and a token's one step, and guards their rates
	gate  gate

	mu    sync.Mutex // guards the list
	first *Charge    // of those that may be reclaimed, linked by next
}

// Token is the account of one token.
type Token struct {
	ID  string
	Org *Org

	gate gate
}

// Usage is what an organisation has in use at one moment.
type Usage struct {
	Bytes     int64 // of bodies
	Uploading int64 // requests whose body is being read
	Waiting   int64 // requests without an engine
	Running   int64 // requests with one
}

// Usage gives what an organisation has in use.
func (a *Accounts) Usage(org string) Usage {
	v, ok := a.orgs.Load(org)
	if !ok {
		return Usage{}
	}
	o := v.(*Org)
	return Usage{
		Bytes: o.held.Load(), Uploading: o.requests[uploading].Load(), Waiting: o.requests[waiting].Load(), Running: o.requests[running].Load(),
	}
}

// Requests gives how many requests a token has at once, as its limit counts them.
func (a *Accounts) Requests(token string) int64 {
	t, ok := a.tokens.Load(token)
	if !ok {
		return 0
	}
	return t.(*Token).gate.open.Load()
}

// token gives the account of a token, which always belongs to the same organisation.
func (a *Accounts) token(org, id string) *Token {
	if t, ok := a.tokens.Load(id); ok {
		return t.(*Token)
	}
	o, _ := a.orgs.LoadOrStore(org, &Org{Name: org, all: a})
	t, _ := a.tokens.LoadOrStore(id, &Token{ID: id, Org: o.(*Org)})
	return t.(*Token)
}
