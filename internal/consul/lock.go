package consul

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/secret"
)

// ServerService is the Consul service under which servers stand, with the check that their sessions are tied to.
const ServerService = "pilotlight-server"

const (
	checkTTL  = 3 * time.Second        // a server that renews its check for so long no more has lost its session
	lockDelay = time.Second            // nobody gets the lock for so long after a session was lost
	lookEvery = 250 * time.Millisecond // how often a server looks at the lock
	// forgetServerAfter is when an agent drops a server that was killed; Consul takes nothing shorter.
	forgetServerAfter = "1m"
)

// LeavesMost is how many bytes a server may leave in the lock for the next one: Consul takes values of 512 KiB.
const LeavesMost = 384 << 10

// LockKey is the key of a cluster's leadership lock.
func LockKey(cluster string) string { return "pilotlight/" + cluster + "/leader" }

// LockConfig is what a Lock needs. Cluster is required. CONSUL_* variables are honoured as in Config. Addr must be that of one agent, not of
// several behind one name: the check of a server lives on the agent at which it was registered.
type LockConfig struct {
	Addr    string
	Token   *secret.Token // nil = of CONSUL_HTTP_TOKEN
	Cluster string
	Log     *slog.Logger // nil: discard
	Server  string       // this server's name, for people; "" = the host's name and our process
	At      string       // where other servers reach this one, host:port; "" = nowhere
	Looks   bool         // it only looks who has the lock, and never takes it: it is waiting for good
}

// Lock is the leadership lock of a cluster: one server at a time holds it. It is a Consul lock, whose session ends when the server's check is not
// renewed for 3 s, or its agent is lost; 1 s later another server can have it. It is safe for concurrent use.
//
//	          nobody has it                 not confirmed for 1 s
//	waiting ───────────────► holding ◄─────────────────────────────► unsure
//	                            │          confirmed, or got again       │
//	                            │    another has, or had it meanwhile    │
//	                            └───────────────► taken ◄────────────────┘
type Lock struct {
	cfg    LockConfig
	client *api.Client
	idle   func()
	id     string // of the service and its check

	// Of Run alone:
	session    string // "" = there is none
	registered bool
	renewed    time.Time
	index      uint64 // of the key while it is another's; 0 = not known
	misread    string // the value of which the log has said that it cannot be read

	mu        sync.Mutex // guards what follows, and session where it is written
	standing  Standing
	confirmed time.Time       // when the lock was last known to be ours: asking began then
	held      string          // session that holds it
	claimed   uint64          // our term; 0 = none yet
	found     json.RawMessage // what stood in the lock for us when we took it; nil = nothing
	leaves    json.RawMessage // what we leave there
	looked    chan struct{}
	changed   chan struct{}
}

// Stage is how a server stands to the lock.
type Stage string

// The stages of a server.
const (
	Waiting Stage = "waiting" // another server has the lock, or Consul cannot be asked
	Holding Stage = "holding"
	Unsure  Stage = "unsure" // it was ours, and for longer than the lock delay nobody has confirmed that it still is
	Taken   Stage = "taken"  // it was ours, and another server has, or had, it since: for good
)

// Standing is how the server stands to the lock, and what is known of others.
type Standing struct {
	Stage   Stage
	Since   time.Time
	Leader  string // who had the lock last, for people; "" = not known
	At      string // where other servers reach that one while it has the lock; "" = nobody has it, or nowhere
	Term    uint64 // the largest that was seen with the lock
	Trouble error  // why Consul could not be asked or did not do as asked; nil = it did
}

// claim is the lock's value.
type claim struct {
	Server string          `json:"server"`
	ID     string          `json:"id"` // of the server's check
	At     string          `json:"at,omitempty"`
	Term   uint64          `json:"term"`
	Left   json.RawMessage `json:"left,omitempty"` // for the next server, by one that has given the lock up
}

// NewLock makes a lock that waits. It connects to nothing yet.
func NewLock(cfg LockConfig) (*Lock, error) {
	if cfg.Cluster == "" {
		return nil, errors.New("making the leadership lock: no cluster")
	}
	if cfg.Server == "" {
		host, _ := os.Hostname()
		cfg.Server = fmt.Sprintf("%s (process %d)", host, os.Getpid())
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	client, idle, err := connect(cfg.Addr, cfg.Token, cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("making the leadership lock: %w", err)
	}
	return &Lock{
		cfg: cfg, client: client, idle: idle, id: ServerService + "-" + cfg.Cluster + "-" + rand.Text(),
		standing: Standing{Stage: Waiting, Since: time.Now()}, looked: make(chan struct{}), changed: make(chan struct{}),
	}, nil
}

// Run contends for the lock, and holds it, until ctx is done; then it gives it up at once. It returns nil. It may be called once.
func (l *Lock) Run(ctx context.Context) error {
	defer l.idle()
	for ctx.Err() == nil {
		l.look(ctx)
		l.await(ctx)
	}
	l.leave(context.WithoutCancel(ctx))
	return nil
}

// Standing tells how this server stands; the channel is closed when that has changed.
func (l *Lock) Standing() (Standing, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.standing, l.changed
}

// Claim writes the term of this server's life into the lock. It is false where the lock is not ours any more.
func (l *Lock) Claim(ctx context.Context, term uint64) (bool, error) {
	l.mu.Lock()
	session := l.held
	l.mu.Unlock()
	if session == "" {
		return false, nil
	}
	ours, err := l.acquire(ctx, session, term)
	if sessionLost(err) {
		return false, nil
	}
	if err != nil || !ours {
		return false, blame(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.standing.Stage != Holding {
		return false, nil
	}
	l.claimed = term
	return true, nil
}

// Found gives what the server that had the lock before has left for this one; nil = nothing, it has not given the lock up in order. It is not certain that nobody had the lock in between: who
// leaves something says in which term.
func (l *Lock) Found() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.found
}

// Leave has a JSON text of LeavesMost bytes or less left for the next server, when Run gives the lock up. A server that has claimed no term leaves what it has found.
func (l *Lock) Leave(text []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaves = text
}

// Confirm returns nil once it is certain that no other server can have the lock at this moment: it was ours when Consul was asked last, and that was less
// than the lock delay ago. It waits for that until ctx is done. The error is fleet.ErrFenced where another server has taken over.
func (l *Lock) Confirm(ctx context.Context) error {
	for {
		l.mu.Lock()
		stage, fresh, looked := l.standing.Stage, time.Since(l.confirmed) < lockDelay, l.looked
		l.mu.Unlock()
		switch {
		case stage == Taken:
			return fmt.Errorf("the leadership lock is another server's: %w", fleet.ErrFenced)
		case stage == Holding && fresh:
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-looked:
		}
	}
}

// saw notes what the key says.
func (l *Lock) saw(pair *api.KVPair) claim {
	last := l.read(pair)
	l.mu.Lock()
	defer l.mu.Unlock()
	at := last.At
	if pair.Session == "" {
		at = ""
	}
	if last.Term > l.standing.Term || last.Server != l.standing.Leader || at != l.standing.At {
		l.standing.Term, l.standing.Leader, l.standing.At = max(l.standing.Term, last.Term), last.Server, at
		l.change()
	}
	if pair.Session != l.held {
		l.confirmed = time.Time{}
	}
	if l.claimed != 0 && (l.outbid(last) || pair.Session != "" && pair.Session != l.session) {
		l.enter(Taken)
	}
	return last
}

// read gives what the key says. Where somebody's hand was in it, that is nothing.
func (l *Lock) read(pair *api.KVPair) claim {
	var last claim
	err := json.Unmarshal(pair.Value, &last)
	if err == nil || len(pair.Value) == 0 {
		return last
	}
	if said := string(pair.Value); l.misread != said {
		l.misread = said
		l.cfg.Log.Warn("what stands in the leadership lock cannot be read", "reason", err)
	}
	return claim{}
}

// finds notes what stands in the lock for us. Taking it, or a try of which no answer comes, writes that over.
func (l *Lock) finds(last *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claimed == 0 {
		l.found = last.Left
	}
}

// left gives what we leave to the next server.
func (l *Lock) left() json.RawMessage {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claimed == 0 {
		return l.found
	}
	return l.leaves
}

// largest is the largest term that is known, ours included: a Consul that has lost everything hears it again.
func (l *Lock) largest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.claimed, l.standing.Term)
}

// overtaken reports whether the lock was ours and has been another's since.
func (l *Lock) overtaken(last claim) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.standing.Stage == Taken || l.claimed != 0 && l.outbid(last)
}

// outbid reports whether another server has claimed a later term than ours; it needs mu.
func (l *Lock) outbid(last claim) bool { return last.ID != l.id && last.Term > l.claimed }

// hold notes that the lock is ours.
func (l *Lock) hold(asked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.standing.Stage != Taken {
		l.held, l.confirmed = l.session, asked
		l.standing.Leader, l.standing.At = l.cfg.Server, l.cfg.At
		l.enter(Holding)
	}
}

// conclude ends a look.
func (l *Lock) conclude(trouble error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.standing.Stage == Holding && time.Since(l.confirmed) >= lockDelay {
		l.held = ""
		if l.claimed == 0 {
			l.enter(Waiting)
		} else {
			l.enter(Unsure)
		}
	}
	if said(trouble) != said(l.standing.Trouble) {
		l.change()
	}
	l.standing.Trouble = trouble
	close(l.looked)
	l.looked = make(chan struct{})
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// enter needs mu.
func (l *Lock) enter(s Stage) {
	if l.standing.Stage != s && l.standing.Stage != Taken {
		l.standing.Stage, l.standing.Since = s, time.Now()
		l.change()
	}
}

// change wakes who looks at the standing; it needs mu.
func (l *Lock) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}
