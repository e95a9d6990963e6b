package config

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Each of these converts one attribute into *to and leaves *to as it is where the attribute is absent or wrong. What they
// return says whether *to was set.

// placeholders makes ${host}, ${port} and ${weights} stand for themselves: the engine's launcher replaces them.
var placeholders = &hcl.EvalContext{Variables: map[string]cty.Value{
	"host": cty.StringVal("${host}"), "port": cty.StringVal("${port}"), "weights": cty.StringVal("${weights}"),
}}

// value evaluates one expression to a value of the type, or says what would be right.
func (r *reader) value(name string, expr hcl.Expression, want cty.Type, right string) (cty.Value, bool) {
	v, problems := expr.Value(placeholders)
	if problems.HasErrors() {
		for _, p := range problems {
			at := expr.Range()
			if p.Subject != nil {
				at = *p.Subject
			}
			r.wrong(at, "%s: %s Write %s", name, lowerFirst(strings.Join(strings.Fields(p.Detail), " ")), right)
		}
		return cty.NilVal, false
	}
	if v.IsNull() || !v.IsKnown() || v.Type() != want {
		r.wrong(expr.Range(), "%s is %s; write %s", name, kindOf(v), right)
		return cty.NilVal, false
	}
	return v, true
}

func kindOf(v cty.Value) string {
	switch {
	case v.IsNull():
		return "null"
	case v.Type() == cty.String:
		return "text"
	case v.Type() == cty.Number:
		return "a number"
	case v.Type() == cty.Bool:
		return "true or false"
	case v.Type().IsTupleType():
		return "a list"
	default:
		return "an object"
	}
}

func (r *reader) text(attr *hcl.Attribute, to *string, right string) bool {
	if attr == nil {
		return false
	}
	v, ok := r.value(attr.Name, attr.Expr, cty.String, right)
	if ok {
		*to = v.AsString()
	}
	return ok
}

// flag reads true or false.
func (r *reader) flag(attr *hcl.Attribute, to *bool) {
	if attr == nil {
		return
	}
	if v, ok := r.value(attr.Name, attr.Expr, cty.Bool, "true or false"); ok {
		*to = v.True()
	}
}

// choice reads one of a few words.
func (r *reader) choice(attr *hcl.Attribute, to *string, known ...string) bool {
	var s string
	if !r.text(attr, &s, quotedOr(known)) {
		return false
	}
	if !slices.Contains(known, s) {
		r.wrong(attr.Expr.Range(), "%s %q is unknown; %s", attr.Name, s, suggestion(s, known))
		return false
	}
	*to = s
	return true
}

// count reads a whole number of least to most.
func (r *reader) count(attr *hcl.Attribute, to *int, least, most int) bool {
	if attr == nil {
		return false
	}
	right := "a whole number without quotes"
	v, ok := r.value(attr.Name, attr.Expr, cty.Number, right)
	if !ok {
		return false
	}
	n, accuracy := v.AsBigFloat().Int64()
	switch {
	case accuracy != big.Exact:
		r.wrong(attr.Expr.Range(), "%s is %s; write %s", attr.Name, v.AsBigFloat().Text('g', 20), right)
	case n < int64(least):
		r.wrong(attr.Expr.Range(), "%s is %d; it must be at least %d", attr.Name, n, least)
	case n > int64(most):
		r.wrong(attr.Expr.Range(), "%s is %d; it must be at most %d", attr.Name, n, most)
	default:
		*to = int(n)
		return true
	}
	return false
}

// weight reads a number above 0.
func (r *reader) weight(attr *hcl.Attribute, to *float64) {
	r.number(attr, to, "above 0", func(f float64) bool { return f > 0 && !math.IsInf(f, 0) })
}

// share reads a number from 0 to 1.
func (r *reader) share(attr *hcl.Attribute, to *float64) {
	r.number(attr, to, "from 0 to 1", func(f float64) bool { return f >= 0 && f <= 1 })
}

// number reads a number that is right, or says what would be.
func (r *reader) number(attr *hcl.Attribute, to *float64, within string, right func(float64) bool) {
	if attr == nil {
		return
	}
	v, ok := r.value(attr.Name, attr.Expr, cty.Number, "a number without quotes")
	if !ok {
		return
	}
	f, _ := v.AsBigFloat().Float64()
	if !right(f) {
		r.wrong(attr.Expr.Range(), "%s is %s; write a number %s", attr.Name, v.AsBigFloat().Text('g', 20), within)
		return
	}
	*to = f
}

// span reads a time span of at least least.
func (r *reader) span(attr *hcl.Attribute, to *time.Duration, least time.Duration) {
	var s string
	if !r.text(attr, &s, `a time span in quotes, such as "30s", "9m" or "90d"`) {
		return
	}
	d, err := fleet.ParseDuration(s)
	switch {
	case err != nil:
		r.wrong(attr.Expr.Range(), "%s: %s", attr.Name, err)
	case d < least:
		r.wrong(attr.Expr.Range(), "%s is %s; it must be at least %s", attr.Name, s, fleet.FormatDuration(least))
	default:
		*to = d
	}
}

// size reads an amount of memory of at least least.
func (r *reader) size(attr *hcl.Attribute, to *fleet.Bytes, least fleet.Bytes) {
	var s string
	if !r.text(attr, &s, `an amount in quotes, such as "64GiB" or "1.5TiB"`) {
		return
	}
	b, err := fleet.ParseBytes(s)
	switch {
	case err != nil:
		r.wrong(attr.Expr.Range(), "%s: %s", attr.Name, err)
	case b < least:
		r.wrong(attr.Expr.Range(), "%s is %s; it must be at least %s", attr.Name, s, least)
	default:
		*to = b
	}
}

// money reads a decimal in quotes: an HCL number would pass through floating point on its way.
func (r *reader) money(attr *hcl.Attribute, to *fleet.NanoUSD) {
	var s string
	if !r.text(attr, &s, `a decimal in quotes, such as "8.25"`) {
		return
	}
	usd, err := fleet.ParseUSD(s)
	if err != nil {
		r.wrong(attr.Expr.Range(), "%s: %s", attr.Name, err)
		return
	}
	*to = usd
}

// item is one element of a list, with the place where it stands.
type item struct {
	text string
	at   hcl.Range
}

// items reads a list of strings. sound is false where the attribute is absent, is no list, or has elements that are no
// strings; those are left out.
func (r *reader) items(attr *hcl.Attribute, right string) (items []item, sound bool) {
	if attr == nil {
		return nil, false
	}
	exprs, problems := hcl.ExprList(attr.Expr)
	if problems.HasErrors() {
		r.wrong(attr.Expr.Range(), "%s is not a list; write %s", attr.Name, right)
		return nil, false
	}
	sound = true
	for _, expr := range exprs {
		v, ok := r.value("an element of "+attr.Name, expr, cty.String, right)
		if !ok {
			sound = false
			continue
		}
		items = append(items, item{v.AsString(), expr.Range()})
	}
	return items, sound
}

// list reads a list of strings of which each must pass check: "" or what would be right.
func (r *reader) list(attr *hcl.Attribute, to *[]string, right string, check func(string) string) bool {
	items, sound := r.items(attr, right)
	texts := make([]string, 0, len(items))
	for _, it := range items {
		if complaint := check(it.text); complaint != "" {
			r.wrong(it.at, "%s: %q %s", attr.Name, it.text, complaint)
			sound = false
			continue
		}
		texts = append(texts, it.text)
	}
	if sound {
		*to = texts
	}
	return sound
}

// table reads an object of strings. Its numbers and truth values must be quoted too.
func (r *reader) table(attr *hcl.Attribute, to *map[string]string, right string) {
	if attr == nil {
		return
	}
	pairs, problems := hcl.ExprMap(attr.Expr)
	if problems.HasErrors() {
		r.wrong(attr.Expr.Range(), "%s is not an object; write %s", attr.Name, right)
		return
	}
	entries := make(map[string]string, len(pairs))
	for _, p := range pairs {
		key, ok := r.value("a name in "+attr.Name, p.Key, cty.String, right)
		if !ok {
			continue
		}
		name := key.AsString()
		if _, twice := entries[name]; twice {
			r.wrong(p.Key.Range(), "%s names %q twice; leave one of them", attr.Name, name)
			continue
		}
		entries[name] = ""
		if v, ok := r.value(attr.Name+"."+name, p.Value, cty.String, right); ok {
			entries[name] = v.AsString()
		}
	}
	*to = entries
}

func quotedOr(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = `"` + w + `"`
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}
