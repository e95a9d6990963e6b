package router

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// The names are bytes in canonical form, as fasthttp keeps them: it then looks for no letters to change.
var (
	headerRequestID    = edge.HeaderRequestID
	headerMaxWait      = []byte("X-Pilotlight-Max-Wait")
	headerAffinity     = []byte("X-Pilotlight-Affinity")
	headerKeepalive    = []byte("X-Pilotlight-Keepalive")
	headerStart        = []byte("X-Pilotlight-Start")
	headerInstance     = []byte("X-Pilotlight-Instance")
	headerServerTiming = []byte("Server-Timing")
	headerBilled       = []byte("X-Pilotlight-Billed-Ms")
	headerAPIKey       = []byte("X-Api-Key")
	headerVersion      = []byte("Anthropic-Version")
	headerEncoding     = []byte("Content-Encoding")
	headerCost         = []byte("X-Pilotlight-Cost-Usd")
	headerBudgetLeft   = []byte("X-Pilotlight-Budget-Left-Usd")
)

const (
	keepOff     = "off"
	keepComment = "comment"
	keepChunk   = "chunk"
)

func validKeepalive(s string) bool { return s == keepOff || s == keepComment || s == keepChunk }

// appendRequestID keeps the caller's word, else makes one; ours sort by time, as the ledger's own do, so that the store's index of them grows at its end.
func appendRequestID(b []byte, ctx *fasthttp.RequestCtx) []byte {
	if id := ctx.Request.Header.PeekCanonical(headerRequestID); edge.Visible(id) {
		return append(b, id...)
	}
	at := ctx.Time()
	if at.IsZero() { // no request has been read
		at = time.Now()
	}
	return ledger.AppendID(b, at)
}

// wish is what a caller's headers ask of a request.
type wish struct {
	maxWait   time.Duration // 0 = the model's
	onlyHot   bool
	affinity  string
	keepalive string // "" = the token's or the config's
}

func (w *wish) read(ctx *fasthttp.RequestCtx) *failure {
	*w = wish{}
	h := &ctx.Request.Header
	if v := h.PeekCanonical(headerMaxWait); len(v) > 0 {
		d, err := time.ParseDuration(string(v))
		if err != nil || d < 0 {
			return failf(codeInvalidRequest, "%s is not a time span; write one such as \"30s\", or \"0s\" for only if hot.", headerMaxWait).at(string(headerMaxWait))
		}
		w.maxWait, w.onlyHot = d, d == 0
	}
	if v := h.PeekCanonical(headerKeepalive); len(v) > 0 {
		if w.keepalive = string(v); !validKeepalive(w.keepalive) {
			return failf(codeInvalidRequest, "%s must be off, comment or chunk.", headerKeepalive).at(string(headerKeepalive))
		}
	}
	if v := h.PeekCanonical(headerAffinity); len(v) > 0 {
		w.affinity = string(v)
	}
	return nil
}

// timings is how long an answer's parts took.
type timings struct {
	start              fleet.Tier
	instance           string
	queued, activating time.Duration
	upstream           time.Duration // 0 = not done yet
}

// add joins the wait for one more lease.
func (t *timings) add(l *activator.Lease) {
	if t.start == "" || t.start == fleet.Hot {
		t.start = l.Start
	}
	t.instance = l.Instance
	t.queued += l.Queued
	t.activating += l.Activating
}

func (t *timings) writeTo(ctx *fasthttp.RequestCtx, scratch []byte) []byte {
	h := &ctx.Response.Header
	b := append(scratch[:0], t.start...)
	h.SetCanonical(headerStart, b)
	b = append(b[:0], t.instance...)
	h.SetCanonical(headerInstance, b)
	b = append(b[:0], "queue;dur="...)
	b = appendMillis(b, t.queued)
	b = append(b, ", activate;dur="...)
	b = appendMillis(b, t.activating)
	if t.upstream > 0 {
		b = append(b, ", upstream;dur="...)
		b = appendMillis(b, t.upstream)
	}
	h.SetCanonical(headerServerTiming, b)
	return b
}

// appendMillis appends d in milliseconds with exactly three decimals.
func appendMillis(b []byte, d time.Duration) []byte {
	us := max(d.Microseconds(), 0)
	b = strconv.AppendInt(b, us/1000, 10)
	rest := us % 1000
	return append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}

// appendUSD appends an amount that is not negative, as its String does.
func appendUSD(b []byte, n fleet.NanoUSD) []byte {
	const unit, cents = 1_000_000_000, 2
	b = strconv.AppendInt(b, int64(n/unit), 10)
	b = append(b, '.')
	rest, digits := n%unit, 0
	for place := fleet.NanoUSD(unit / 10); place > 0 && (rest > 0 || digits < cents); place /= 10 {
		b = append(b, byte('0'+rest/place))
		rest %= place
		digits++
	}
	return b
}
