package provision

import (
	"math/big"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// values reads the attributes of one block. What is absent, null or wrong is nil.
type values struct {
	r          *reader
	attributes hcl.Attributes
	at         place // of the block
}

func (r *reader) values(attributes hcl.Attributes, at place) *values {
	for name, a := range attributes {
		at.attribute = name
		r.lines[at] = a.NameRange.Start.Line
	}
	at.attribute = ""
	return &values{r, attributes, at}
}

func (v *values) line(name string) int { return v.attributes[name].NameRange.Start.Line }

// refuse notes what is wrong with an attribute; nil is nothing.
func (v *values) refuse(name string, err error) {
	if err != nil {
		v.r.wrong(v.line(name), "%s: %s", name, err)
	}
}

// value evaluates an attribute to a value of the type, or says what would be right.
func (v *values) value(name string, want cty.Type, right string) (cty.Value, bool) {
	a := v.attributes[name]
	if a == nil {
		return cty.NilVal, false
	}
	return v.evaluate(name, a.Expr, want, right)
}

func (v *values) evaluate(name string, expr hcl.Expression, want cty.Type, right string) (cty.Value, bool) {
	value, problems := expr.Value(nil)
	switch {
	case problems.HasErrors():
		v.r.diagnostics(problems)
	case value.IsNull():
	case !value.IsKnown() || value.Type() != want:
		v.r.wrong(expr.Range().Start.Line, "%s is %s; write %s", name, value.Type().FriendlyName(), right)
	default:
		return value, true
	}
	return cty.NilVal, false
}

func (v *values) text(name, right string) *string {
	value, ok := v.value(name, cty.String, right)
	if !ok {
		return nil
	}
	text := value.AsString()
	return &text
}

func (v *values) flag(name string) *bool {
	value, ok := v.value(name, cty.Bool, "true or false")
	if !ok {
		return nil
	}
	flag := value.True()
	return &flag
}

func (v *values) count(name string) *int {
	const right = "a whole number without quotes"
	value, ok := v.value(name, cty.Number, right)
	if !ok {
		return nil
	}
	n, accuracy := value.AsBigFloat().Int64()
	if accuracy != big.Exact {
		v.r.wrong(v.line(name), "%s is %s; write %s", name, value.AsBigFloat().Text('g', 20), right)
		return nil
	}
	count := int(n)
	return &count
}

// list reads a list of texts.
func (v *values) list(name string) *[]string {
	const right = `a list of texts, such as ["a", "b"]`
	a := v.attributes[name]
	if a == nil {
		return nil
	}
	items, problems := hcl.ExprList(a.Expr)
	if problems.HasErrors() {
		v.r.wrong(v.line(name), "%s is no list; write %s", name, right)
		return nil
	}
	list := []string{}
	for _, item := range items {
		if value, ok := v.evaluate("an element of "+name, item, cty.String, right); ok {
			list = append(list, value.AsString())
		}
	}
	return &list
}

// money reads a decimal in quotes: a number would pass through floating point on its way.
func (v *values) money(name string) *fleet.NanoUSD {
	text := v.text(name, `a decimal in quotes, such as "250" or "99.50"`)
	if text == nil {
		return nil
	}
	usd, err := fleet.ParseUSD(*text)
	if v.refuse(name, err); err != nil {
		return nil
	}
	return &usd
}

// limits reads what the blocks of organisations and tokens have in common.
func (v *values) limits(blocks hcl.Blocks) tenant.LimitsChange {
	c := tenant.LimitsChange{RPM: v.count("rpm"), Concurrency: v.count("concurrency"), Soft: v.flag("budget_soft")}
	before := len(v.r.mistakes)
	c.Budget = v.money("budget_usd")
	known := len(v.r.mistakes) == before
	if period := v.text("budget_period", `"monthly", "weekly" or "daily"`); period != nil {
		p := tenant.Period(*period)
		c.Period = &p
	}
	for n, block := range blocks.OfType("budget_raise") {
		at := v.at
		at.attribute = "budget_raise"
		v.r.lines[at] = block.DefRange.Start.Line
		if n > 0 {
			v.r.wrong(block.DefRange.Start.Line, "budget_raise comes twice; a budget has one raise at a time")
			continue
		}
		c.Raise = v.r.raise(block)
	}
	if !known { // and so not whether there is one to be soft or raised
		c.Soft, c.Raise = nil, nil
	}
	return c
}

// raise reads a block, in which nothing may be missing; nil where something is wrong.
func (r *reader) raise(block *hcl.Block) *tenant.Raise {
	before := len(r.mistakes)
	v := &values{r: r, attributes: r.content(block.Body, raiseSchema).Attributes}
	for _, name := range []string{"budget_usd", "until", "why"} {
		if v.attributes[name] == nil {
			r.wrong(block.DefRange.Start.Line, "budget_raise lacks %s; it has an amount, an end and a reason", name)
		}
	}
	var raise tenant.Raise
	if usd := v.money("budget_usd"); usd != nil {
		raise.Limit = *usd
	}
	if until := v.text("until", `a day such as "2026-12-31" or a moment in RFC 3339`); until != nil {
		at, err := tenant.ParseUntil(*until)
		v.refuse("until", err)
		raise.Until = at
	}
	if why := v.text("why", "a reason in quotes"); why != nil {
		raise.Why = *why
	}
	if len(r.mistakes) > before {
		return nil
	}
	return &raise
}
