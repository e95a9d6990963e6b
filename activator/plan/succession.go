package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// succession is what a planner knows of those before it by the word of the last one: who may have leases on what they launched. Of instances that are not covered by it
// nobody knows.
type succession struct {
	since   uint64            // it covers what was launched in that term or later
	term    uint64            // and before this one, the planner's own
	known   map[string]bool   // and these instances, launched before
	unheard []protocol.Holder // who may have leases on what is covered, and has not said yet which
}

// newSuccession takes what the planner before has left, which is believed by the one of the very next term alone. Else only what is launched from now on is covered.
func newSuccession(term uint64, former *protocol.Handover) succession {
	if former == nil || former.Term+1 != term {
		return succession{since: term, term: term}
	}
	s := succession{since: former.Since, term: term, known: make(map[string]bool, len(former.Known)), unheard: slices.Clone(former.Holders)}
	for _, id := range former.Known {
		s.known[id] = true
	}
	return s
}

// covers reports whether nobody can have a lease on an instance of an earlier planner but those who are known, or unheard.
func (s *succession) covers(id string) bool {
	term := termOf(id)
	return s.since <= term && term < s.term || s.known[id]
}

// hear notes what a dispatcher has said, and reports whether it was the last that was not heard. It has said what it holds once it has acknowledged shares of this planner: what
// older tables had given it is then over, and cannot be vouched for again. A life that has ended holds nothing.
func (s *succession) hear(d *peer) (all bool) {
	before := len(s.unheard)
	s.unheard = slices.DeleteFunc(s.unheard, func(h protocol.Holder) bool {
		return h.Server == d.id && (d.incarnation > h.Life || d.incarnation == h.Life && d.known && !d.foreign)
	})
	return before > 0 && len(s.unheard) == 0
}

// termOf gives the term of the planner that made the ID; 0 = none has.
func termOf(id string) uint64 {
	prefix, _, made := strings.Cut(id, "-")
	term, err := strconv.ParseUint(prefix, termBase, 64)
	if !made || err != nil {
		return 0
	}
	return term
}

// termBase is that of the number with which an ID begins.
const termBase = 36
