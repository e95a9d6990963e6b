package shares

import (
	"errors"
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
)

// op is what is done to the organisation's limit, as those who do it see it.
type op struct {
	kind      opKind
	limit     int  // that the request was under
	raised    bool // it had been higher for a while: what runs of that counts for nothing here
	strict    bool // nothing had failed, and it was refused before it had waited for others
	call, ret int64
}

type opKind string

const (
	opAdmitted opKind = "admitted"
	opRefused  opKind = "refused"
	opEnded    opKind = "ended" // or its server has died, or was given up
)

// limitModel says what may follow what: nobody is admitted above the limit, and nobody is refused below it but after he has waited, or where something failed.
var limitModel = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, in, _ any) (bool, any) {
		switch open, o := state.(int), in.(op); o.kind {
		case opAdmitted:
			return o.raised || open < o.limit, open + 1
		case opRefused:
			return !o.strict || open >= o.limit, open
		default:
			return open > 0, open - 1
		}
	},
	DescribeOperation: func(in, _ any) string { return fmt.Sprintf("%+v", in) },
}

func (f *faults) tick() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tickLocked()
}

// tickLocked gives the next moment of the order in which things are said and heard.
func (f *faults) tickLocked() int64 {
	f.moment++
	return f.moment
}

// did records what began at a moment and ends now; mu is held.
func (f *faults) did(o op) {
	o.ret = f.tickLocked()
	f.ops = append(f.ops, o)
}

// checkLinear holds that one limit, asked by one after the other, explains the history.
func (f *faults) checkLinear() error {
	all := make([]porcupine.Operation, len(f.ops))
	for k, o := range f.ops {
		all[k] = porcupine.Operation{ClientId: k, Input: o, Call: o.call, Return: o.ret}
	}
	switch porcupine.CheckOperationsTimeout(limitModel, all, time.Second) {
	case porcupine.Illegal:
		for _, o := range f.ops {
			f.Note("%d to %d: %+v", o.call, o.ret, o)
		}
		return errors.New("broken promise: no order explains who was admitted and who was refused")
	case porcupine.Unknown:
		f.Reach("history too long to check")
	}
	return nil
}
