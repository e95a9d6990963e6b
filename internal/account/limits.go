package account

import (
	"fmt"
	"time"
)

// Limits bound the requests of an organisation, or of one token. The zero value sets none.
type Limits struct {
	RPM         int // requests a minute; 0 = no limit
	Concurrency int // requests at once; 0 = no limit
}

// Claim is a request that asks to be admitted: whose it is, and under which limits. Those of the latest claim hold.
type Claim struct {
	Org, Token  string    // the token's ID
	OrgLimits   Limits    // of all requests of the organisation together
	TokenLimits Limits    // of the token's own, which are the organisation's too
	At          time.Time // when it asks; zero = now
}

// Standing is how a request leaves the tighter of its token's and its organisation's limits of requests a minute: the one with less left.
type Standing struct {
	Limit     int           // requests a minute; 0 = there is no limit
	Remaining int           // requests that would be admitted at this moment
	Reset     time.Duration // until Remaining is Limit again, if nobody asks
}

// LimitError says why a request is not admitted. It has taken nothing of any limit.
type LimitError struct {
	Org      string
	OfToken  bool          // the limit is the token's own, else the organisation's
	AtOnce   bool          // it is one of requests at once, else of requests a minute
	Limit    int           // requests
	After    time.Duration // until the next request is admitted; of a limit of requests at once an estimate, 0 = not known
	Standing Standing

	ofShare bool // of that limit this server has nothing left, though its requests do not reach it
}

func (e *LimitError) Error() string {
	whose := "this token"
	if !e.OfToken {
		whose = fmt.Sprintf("the organisation %q", e.Org)
	}
	if e.ofShare {
		return fmt.Sprintf("%s may have %s open, and other servers have what this one has not; one more is admitted when one of them has ended", whose, count(e.Limit, "request"))
	}
	if e.AtOnce {
		return fmt.Sprintf("%s has %s open, which is its limit; one more is admitted when one of them has ended", whose, count(e.Limit, "request"))
	}
	return fmt.Sprintf("%s has reached its limit of %s a minute; one more is admitted in %s", whose, count(e.Limit, "request"), inSeconds(e.After))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// inSeconds gives whole seconds, rounded up as those of Retry-After.
func inSeconds(d time.Duration) string {
	return count(int((d+time.Second-1)/time.Second), "second")
}

// enter takes a request's part of all limits, or nothing and says why. take false = it only says whether it would.
func (t *Token) enter(claim *Claim, take bool) (Standing, error) {
	o, ofOrg, ofToken := t.Org, &claim.OrgLimits, &claim.TokenLimits
	if *ofOrg == (Limits{}) && *ofToken == (Limits{}) {
		if take {
			o.gate.open.Add(1)
			t.gate.open.Add(1)
		}
		return Standing{}, nil
	}
	o.gates.Lock()
	defer o.gates.Unlock()
	at := o.all.micros(claim.At)
	o.gate.rate.refill(ofOrg.RPM, at)
	t.gate.rate.refill(ofToken.RPM, at)
	shared := o.all.shared
	if !take {
		shared = nil // who only wants to know waits for no share
	}
	o.gate.part.limit, t.gate.part.limit = ofOrg.Concurrency, ofToken.Concurrency
	refused := t.gate.refuses(ofToken, shared)
	refused.OfToken = true
	if r := o.gate.refuses(ofOrg, shared); r.before(&refused) {
		refused = r
	}
	if refused.Limit == 0 && take {
		o.gate.take(ofOrg)
		t.gate.take(ofToken)
	}
	standing := tighter(t.gate.rate.standing(ofToken.RPM), o.gate.rate.standing(ofOrg.RPM))
	if refused.Limit == 0 {
		return standing, nil
	}
	why := refused // on the heap only where there is one
	why.Org, why.Standing = o.Name, standing
	return standing, &why
}

// before reports whether a reason of the organisation's is told instead of one of the token's: one that is certain, that says when, that lasts longer.
func (e *LimitError) before(token *LimitError) bool {
	switch {
	case e.Limit == 0 || token.Limit == 0:
		return e.Limit != 0
	case e.ofShare != token.ofShare:
		return token.ofShare
	case e.AtOnce != token.AtOnce:
		return token.AtOnce
	}
	return e.After > token.After
}

func tighter(token, org Standing) Standing {
	switch {
	case org.Limit == 0:
		return token
	case token.Limit == 0, org.Remaining < token.Remaining, org.Remaining == token.Remaining && org.Reset > token.Reset:
		return org
	}
	return token
}

// micros gives a time in the microseconds in which limits are counted.
func (a *Accounts) micros(at time.Time) int64 {
	if at.IsZero() {
		at = time.Now()
	}
	return a.since(at) / int64(time.Microsecond)
}
