package plan

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// leaseOp is what is done to one instance's leases, as those who do it see it.
type leaseOp struct {
	kind     leaseKind
	instance string
	most     int // leases at once
}

type leaseKind string

const (
	leaseAcquired leaseKind = "acquired" // from the question to the grant
	leaseReleased leaseKind = "released" // or its server has died
	engineTaken   leaseKind = "taken"    // parked or stopped: from the decision to the back end's answer
	engineGiven   leaseKind = "given"    // resumed
	engineDied    leaseKind = "died"     // what is leased of it is worth nothing, and bounded by nothing
)

// leaseState is what an instance's leases are, one after another: so many, of an engine that is there.
type leaseState struct {
	leases      int
	taken, dead bool
}

// leaseModel says what may follow what: no more leases than the most, none on what was taken, and nothing is taken that is leased.
var leaseModel = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		var parts [][]porcupine.Operation
		of := make(map[string]int)
		for _, op := range all {
			id := op.Input.(leaseOp).instance
			k, known := of[id]
			if !known {
				k = len(parts)
				of[id] = k
				parts = append(parts, nil)
			}
			parts[k] = append(parts[k], op)
		}
		return parts
	},
	Init: func() any { return leaseState{} },
	Step: func(state, in, _ any) (bool, any) {
		s, op := state.(leaseState), in.(leaseOp)
		switch op.kind {
		case leaseAcquired:
			s.leases++
			return s.dead || !s.taken && s.leases <= op.most, s
		case leaseReleased:
			s.leases--
			return s.leases >= 0, s
		case engineTaken:
			s.taken = true
			return s.dead || s.leases == 0, s
		case engineGiven:
			s.taken = false
			return true, s
		default:
			s.dead = true
			return true, s
		}
	},
	DescribeOperation: func(in, _ any) string { return fmt.Sprintf("%+v", in) },
}

// tick gives the next moment of the order in which things are said and heard.
func (h *history) tick() int64 {
	h.moment++
	return h.moment
}

// did records an operation that began at a moment and ends now.
func (h *history) did(kind leaseKind, instance string, most int, began int64) {
	h.ops = append(h.ops, porcupine.Operation{Input: leaseOp{kind, instance, most}, Call: began, Return: h.tick()})
}

// noteDeath records that an engine is no more what it was, where that is so.
func (h *history) noteDeath(e *process) {
	if e != nil && (e.gone || e.moved > 0 || e.ended || e.hangs) && !e.dead {
		e.dead = true
		h.did(engineDied, e.ID, 0, h.tick())
	}
}
