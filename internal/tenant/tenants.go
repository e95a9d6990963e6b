package tenant

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// poll is how often Run looks for changes of other servers: half of the second that the package promises, so that a slow
// look still keeps it.
const poll = 500 * time.Millisecond

// Config is what New needs.
type Config struct {
	Models []string     // IDs that allow-lists may name, until Configure says others; nil = not checked
	Log    *slog.Logger // nil = discard
}

// Tenants knows every organisation and token of one store. It is safe for concurrent use.
type Tenants struct {
	store *store.Store
	known atomic.Pointer[[]string] // IDs that allow-lists may name; nil in it = not checked
	log   *slog.Logger
	heard heard

	// refreshing makes one goroutine at a time read changes, so that an older snapshot never replaces a newer one. It is
	// held across reads of the store; Authenticate does not take it.
	refreshing sync.Mutex
	snapshot   atomic.Pointer[snapshot]
	changes    atomic.Uint64                 // how often changed was replaced
	changed    atomic.Pointer[chan struct{}] // closed, and replaced, when what tokens allow may have changed
}

// New reads the organisations and tokens of the store.
func New(ctx context.Context, s *store.Store, c Config) (*Tenants, error) {
	if s == nil {
		return nil, errors.New("tenant: a store is required")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	t := &Tenants{store: s, log: c.Log}
	t.Configure(c.Models)
	t.snapshot.Store(&snapshot{version: unread})
	never := make(chan struct{})
	t.changed.Store(&never)
	return t, t.refresh(ctx)
}

// Configure replaces the IDs that allow-lists may name from now on; nil = they are not checked. Those that are kept stay as they are, though they name
// a model that is gone: it may come back, and until then nobody can ask for it.
func (t *Tenants) Configure(models []string) { t.known.Store(&models) }

// Run follows what other servers change in the same store, tells whoever follows of tokens that expire, and writes when tokens were last used, until ctx is
// done; then it writes what is left of that, and returns nil.
func (t *Tenants) Run(ctx context.Context) error {
	var keeping sync.WaitGroup
	keeping.Go(func() { t.keepUses(ctx) }) // beside, so that no batch of writes delays a look
	defer keeping.Wait()
	t.heard.begin()
	defer t.heard.end()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	failing := false
	seen := t.snapshot.Load()
	expiry := seen.expiry(time.Now())
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if s, now := t.snapshot.Load(), time.Now(); s != seen || !expiry.IsZero() && !now.Before(expiry) {
			if s == seen {
				t.announce()
			}
			seen, expiry = s, s.expiry(now)
		}
		err := t.refresh(ctx)
		if ctx.Err() == nil && (err != nil) != failing {
			failing = err != nil
			t.logOutcome(ctx, err)
		}
	}
}

// Authenticate finds what a secret allows: ErrInvalidToken, ErrRevoked, ErrExpired or ErrOrgSuspended where it allows
// nothing, ErrUnheard where Run has not heard from the store for too long: five minutes, and five seconds where the token is not known. It allocates nothing and asks nobody. The checksum is left unchecked: no token has a hash of a secret with a wrong one.
func (t *Tenants) Authenticate(secret string) (*Grant, error) {
	if len(secret) != secretLen {
		return nil, ErrInvalidToken
	}
	var in [secretLen]byte // a copy on the stack: converting the string could allocate
	copy(in[:], secret)
	at := time.Now()
	g, err := t.snapshot.Load().grant(sha256.Sum256(in[:]), at)
	if err = t.heard.judge(err, at); err != nil {
		return nil, err
	}
	g.used.mark(at)
	return g, nil
}

// Review finds what the token of a grant allows now, or why it allows nothing any more, for a request that came at a moment: one that was cut
// gives ErrOrgSuspended. It is as cheap as Authenticate.
func (t *Tenants) Review(g *Grant, since time.Time) (*Grant, error) {
	s := t.snapshot.Load()
	if s.cut(g.Org, since) {
		return nil, ErrOrgSuspended
	}
	return s.grant(g.sum, time.Now())
}

// Changes counts what Follow tells of. As long as it is what it was before a token was authenticated, Review would find the same.
func (t *Tenants) Changes() uint64 { return t.changes.Load() }

// Limits gives what limits the organisation and the token of a grant now, whatever else has become of them: also of a token that was revoked. It is as cheap
// as Authenticate. Who keeps something running under limits (a budget's meter) asks again whenever Follow tells of a change, which comes within a second
// of a change by any server; what changes with time alone it knows ahead (Budget.At, Period.Window).
func (t *Tenants) Limits(g *Grant) (org, token Limits) {
	s := t.snapshot.Load()
	if now := s.tokens[g.sum]; now != nil {
		return now.OrgLimits, now.TokenLimits
	}
	return g.OrgLimits, g.TokenLimits
}

// OrgLimits gives what limits an organisation now; ok is false where there is none of that name. It is as cheap as Authenticate.
func (t *Tenants) OrgLimits(org string) (l Limits, ok bool) {
	o := t.snapshot.Load().orgs[org]
	if o == nil {
		return Limits{}, false
	}
	return o.Limits, true
}

// Budgets calls f with the budget of each organisation, token "", and of each token; its limit is 0 where there is none. Follow tells when they may have
// changed.
func (t *Tenants) Budgets(f func(org, token string, b Budget)) {
	s := t.snapshot.Load()
	for name, org := range s.orgs {
		f(name, "", org.Limits.Budget)
	}
	for _, g := range s.tokens {
		f(g.Org, g.TokenID, g.TokenLimits.Budget)
	}
}

// Cut reports whether the organisation's requests that came at a moment are cut, even where an engine works on them.
func (t *Tenants) Cut(g *Grant, since time.Time) bool { return t.snapshot.Load().cut(g.Org, since) }

// Follow calls changed at once, and whenever what tokens allow, limits included, may have changed, until ctx is done. Calls that come while changed runs are one. Run must
// run for it to hear of other servers' changes, and of tokens that expire.
func (t *Tenants) Follow(ctx context.Context, changed func()) {
	for {
		next := *t.changed.Load()
		changed()
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

func (t *Tenants) logOutcome(ctx context.Context, err error) {
	if err != nil {
		t.log.ErrorContext(ctx, "cannot follow changes of tokens; what was last known holds", "reason", err)
		return
	}
	t.log.InfoContext(ctx, "following changes of tokens again")
}

// write runs f in a transaction with the version that its rows must carry, and shows the result to this process.
func (t *Tenants) write(ctx context.Context, f func(tx *sql.Tx, version int64) error) error {
	err := t.store.Write(ctx, func(tx *sql.Tx) error {
		var version int64
		row := tx.QueryRowContext(ctx, "UPDATE changes SET version = version + 1 WHERE topic = 'tenants' RETURNING version")
		if err := row.Scan(&version); err != nil {
			return fmt.Errorf("counting a change of tenants: %w", err)
		}
		return f(tx, version)
	})
	if err != nil {
		return err
	}
	// The change is committed: a caller who has left must not keep this process from seeing it.
	return t.refresh(context.WithoutCancel(ctx))
}

// refresh brings the snapshot up to the store's version. It reads tokens before organisations: every token that it finds
// then has its organisation, however many are being added meanwhile.
func (t *Tenants) refresh(ctx context.Context) error {
	t.refreshing.Lock()
	defer t.refreshing.Unlock()
	old, db := t.snapshot.Load(), t.store.DB()
	var version int64
	if err := db.QueryRowContext(ctx, "SELECT version FROM changes WHERE topic = 'tenants'").Scan(&version); err != nil {
		return fmt.Errorf("reading the version of tenants: %w", err)
	}
	if version == old.version {
		t.heard.again()
		return nil
	}
	if version < old.version { // an older copy of the file was put in place
		old = &snapshot{version: unread}
	}
	tokens, err := collect(ctx, db, scanHashed, selectToken+" WHERE version > $1", old.version)
	if err != nil {
		return err
	}
	orgs, err := collect(ctx, db, scanOrg, selectOrg+" WHERE version > $1", old.version)
	if err != nil {
		return err
	}
	t.snapshot.Store(old.with(version, orgs, tokens))
	t.heard.again()
	t.announce()
	return nil
}

func (t *Tenants) announce() {
	t.changes.Add(1)
	next := make(chan struct{})
	close(*t.changed.Swap(&next))
}
