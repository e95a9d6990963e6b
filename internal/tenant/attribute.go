package tenant

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// attribute is one value of an organisation or a token, as an import file writes it.
type attribute struct{ name, value string }

func (o *Org) attributes(at time.Time) []attribute {
	return append([]attribute{{"models", quotedList(o.Models)}, {"state", strconv.Quote(string(o.State))}}, o.Limits.attributes(at)...)
}

func (t *Token) attributes(at time.Time) []attribute {
	expires := ""
	if t.ExpiresAt != nil {
		expires = t.ExpiresAt.Format(time.RFC3339Nano)
	}
	return append([]attribute{
		{"name", strconv.Quote(t.Name)},
		{"scopes", quotedList(t.Scopes)},
		{"models", quotedList(t.Models)},
		{"keepalive", strconv.Quote(t.Keepalive)},
		{"expires", strconv.Quote(expires)},
	}, t.Limits.attributes(at)...)
}

func (l *Limits) attributes(at time.Time) []attribute {
	raise := "none"
	if r := l.Budget.Raise; l.Budget.Raised(at) {
		raise = fmt.Sprintf("{budget_usd = %q, until = %q, why = %q}", r.Limit, r.Until.Format(time.RFC3339Nano), r.Why)
	}
	return []attribute{
		{"rpm", strconv.Itoa(l.RPM)},
		{"concurrency", strconv.Itoa(l.Concurrency)},
		{"budget_usd", strconv.Quote(l.Budget.Limit.String())},
		{"budget_period", strconv.Quote(string(l.Budget.Period))},
		{"budget_soft", strconv.FormatBool(l.Budget.Soft)},
		{"budget_raise", raise},
	}
}

func quotedList[T ~string](items []T) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = strconv.Quote(string(item))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
