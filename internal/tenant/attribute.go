package tenant

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// attribute is one value of an organisation or a token: a text, texts, a number, a truth, or the *Raise of a budget, nil for none.
type attribute struct {
	name  string
	value any
}

// text is the value as an import file writes it.
func (a attribute) text() string {
	switch v := a.value.(type) {
	case string:
		return strconv.Quote(v)
	case []string:
		quoted := make([]string, len(v))
		for i, item := range v {
			quoted[i] = strconv.Quote(item)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case *Raise:
		if v == nil {
			return "none"
		}
		return fmt.Sprintf("{budget_usd = %q, until = %q, why = %q}", v.Limit, v.Until.Format(time.RFC3339Nano), v.Why)
	}
	return fmt.Sprint(a.value)
}

func (o *Org) attributes(at time.Time) []attribute {
	return append([]attribute{{"models", texts(o.Models)}, {"state", string(o.State)}}, o.Limits.attributes(at)...)
}

func (t *Token) attributes(at time.Time) []attribute {
	expires := ""
	if t.ExpiresAt != nil {
		expires = t.ExpiresAt.Format(time.RFC3339Nano)
	}
	return append([]attribute{
		{"name", t.Name},
		{"scopes", texts(t.Scopes)},
		{"models", texts(t.Models)},
		{"keepalive", t.Keepalive},
		{"expires", expires},
	}, t.Limits.attributes(at)...)
}

func (l *Limits) attributes(at time.Time) []attribute {
	var raise *Raise
	if l.Budget.Raised(at) {
		r := l.Budget.Raise // as it is now
		raise = &r
	}
	return []attribute{
		{"rpm", l.RPM},
		{"concurrency", l.Concurrency},
		{"budget_usd", l.Budget.Limit.String()},
		{"budget_period", string(l.Budget.Period)},
		{"budget_soft", l.Budget.Soft},
		{"budget_raise", raise},
	}
}

func texts[T ~string](items []T) []string {
	all := make([]string, len(items))
	for i, item := range items {
		all[i] = string(item)
	}
	return all
}
