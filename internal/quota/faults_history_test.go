package quota

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// op is what is done to the organisation's budget, as those who do it see it.
type op struct {
	kind    opKind
	day     int64 // whose period it is
	least   int64 // that the request is to have, in nano-dollars
	cost    int64 // that it is billed in the end, of one that was admitted
	unknown bool  // it is never billed, and owes nobody knows how much until then
	limit   int64
	strict  bool // it was refused before it had waited for long, and nothing had failed
	debts   []debt
}

// debt is what one that ran owed at the moment at which another was refused. It may be billed less: it is cut a little after it has used a budget up.
type debt struct {
	by  *op
	sum int64
}

// inVain is what those who ran owed beyond what they were billed.
func (o *op) inVain() (sum int64) {
	for _, d := range o.debts {
		sum += max(d.sum-d.by.cost, 0)
	}
	return sum
}

type opKind string

const (
	opAdmitted opKind = "admitted"
	opRefused  opKind = "refused"
	opGone     opKind = "gone" // one that is never billed
)

// spentState is what was spent of a budget, and is owed by those who run: what they will cost.
type spentState struct {
	sum     int64
	unknown int
}

// budgetModel says that nobody is refused while all that the others were billed, and will be, leaves what he is to have; but after he has waited for a second, or
// where something failed. That no more is spent than there is, is looked at each time that something is billed.
var budgetModel = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		var parts [][]porcupine.Operation
		of := map[int64]int{}
		for _, o := range all {
			day := o.Input.(*op).day
			k, known := of[day]
			if !known {
				k = len(parts)
				of[day], parts = k, append(parts, nil)
			}
			parts[k] = append(parts[k], o)
		}
		return parts
	},
	Init: func() any { return spentState{} },
	Step: func(state, in, _ any) (bool, any) {
		s, o := state.(spentState), in.(*op)
		switch {
		case o.kind == opGone:
			s.unknown--
			return s.unknown >= 0, s
		case o.kind == opRefused:
			return !o.strict || s.unknown > 0 || s.sum+o.least+o.inVain() > o.limit, s
		case o.unknown:
			s.unknown++
		default:
			s.sum += max(o.cost, o.least)
		}
		return true, s
	},
	DescribeOperation: func(in, _ any) string { return fmt.Sprintf("%+v", in) },
}

// admitted records that a request runs, which has asked at a moment, and of which nobody knows yet what it costs; what it gives is guarded by mu.
func (f *faults) admitted(day, least, called int64) *op {
	o := &op{kind: opAdmitted, day: day, least: least, unknown: true}
	f.Did(o, called)
	return o
}

// ended records what a request costs; mu is held.
func (f *faults) ended(o *op, cost int64, free bool) {
	if free {
		f.Did(&op{kind: opGone, day: o.day}, f.Tick())
	} else {
		o.cost, o.unknown = cost, false
	}
}
