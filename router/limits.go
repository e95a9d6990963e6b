package router

import (
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// limitHeaders are the names under which callers are told of their limit of requests a minute.
type limitHeaders struct {
	limit, remaining, reset []byte
}

var (
	openAILimits    = limitHeaders{[]byte("X-Ratelimit-Limit-Requests"), []byte("X-Ratelimit-Remaining-Requests"), []byte("X-Ratelimit-Reset-Requests")}
	anthropicLimits = &limitHeaders{
		[]byte("Anthropic-Ratelimit-Requests-Limit"), []byte("Anthropic-Ratelimit-Requests-Remaining"), []byte("Anthropic-Ratelimit-Requests-Reset"),
	}
)

// enter opens the request's account, where no limit is in the way, before anything is read of its body. Requests of a token that may not ask at all do
// not count; all others do, whatever becomes of them.
func (in *intake) enter(ctx *fasthttp.RequestCtx) *failure {
	claim := claimOf(in.grant, in.received)
	err := in.r.c.Accounts.Admit(&in.charge, &claim, in.holder)
	writeStanding(ctx, in.endpoint, in.charge.Standing())
	return limitFailure(err)
}

// mayEnter is the failure that enter would be at this moment. It takes nothing.
func (r *Router) mayEnter(ctx *fasthttp.RequestCtx, g *tenant.Grant) *failure {
	claim := claimOf(g, time.Time{})
	standing, err := r.c.Accounts.MayAdmit(&claim)
	if err != nil {
		writeStanding(ctx, endpointOf(ctx), standing)
	}
	return limitFailure(err)
}

func claimOf(g *tenant.Grant, at time.Time) account.Claim {
	return account.Claim{Org: g.Org, Token: g.TokenID, OrgLimits: limitsOf(&g.OrgLimits), TokenLimits: limitsOf(&g.TokenLimits), At: at}
}

func limitsOf(l *tenant.Limits) account.Limits {
	return account.Limits{RPM: l.RPM, Concurrency: l.Concurrency}
}

// limitFailure maps why a request was not admitted; nil for nil.
func limitFailure(err error) *failure {
	limit, is := errors.AsType[*account.LimitError](err)
	if !is {
		return nil
	}
	c, wait := codeRateLimit, limit.After
	if limit.AtOnce {
		c = codeConcurrencyLimit
		if wait == 0 {
			wait = shortWait
		}
	}
	return failf(c, "%s.", upperFirst(err.Error())).after(wait)
}

// writeStanding tells of the tighter of the token's and the organisation's limits of requests a minute. Without one nothing is told. e may be nil.
func writeStanding(ctx *fasthttp.RequestCtx, e *endpoint, s account.Standing) {
	if s.Limit == 0 {
		return
	}
	h := &ctx.Response.Header
	var room [40]byte
	number := func(n int) []byte { return strconv.AppendInt(room[:0], int64(n), 10) }
	h.SetCanonical(openAILimits.limit, number(s.Limit))
	h.SetCanonical(openAILimits.remaining, number(s.Remaining))
	h.SetCanonical(openAILimits.reset, appendReset(room[:0], s.Reset))
	if e == nil || e.limits == nil {
		return
	}
	h.SetCanonical(e.limits.limit, number(s.Limit))
	h.SetCanonical(e.limits.remaining, number(s.Remaining))
	full := time.Now().Add(s.Reset + time.Second - 1).UTC().Truncate(time.Second)
	h.SetCanonical(e.limits.reset, full.AppendFormat(room[:0], time.RFC3339))
}

// appendReset appends a time of up to an hour as OpenAI's API writes it, which is as Go's Duration does, in whole milliseconds, rounded up: 12ms, 8.64s, 1m0s.
func appendReset(b []byte, d time.Duration) []byte {
	ms := int64((max(d, 0) + time.Millisecond - 1) / time.Millisecond)
	switch {
	case ms == 0:
		return append(b, "0s"...)
	case ms < 1000:
		return append(strconv.AppendInt(b, ms, 10), "ms"...)
	case ms >= 60_000:
		b = append(strconv.AppendInt(b, ms/60_000, 10), 'm')
		ms %= 60_000
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	if rest := ms % 1000; rest > 0 {
		b = append(b, '.')
		for place := int64(100); rest > 0; place /= 10 {
			b = append(b, byte('0'+rest/place))
			rest %= place
		}
	}
	return append(b, 's')
}
