package shares

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// op is what is done to the organisation's limit, as those who do it see it.
type op struct {
	kind   opKind
	limit  int  // that the request was under
	raised bool // it had been higher for a while: what runs of that counts for nothing here
	strict bool // nothing had failed, none ran on of a server that was given up, and it was refused before it had waited for others
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
