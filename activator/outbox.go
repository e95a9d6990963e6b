package activator

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// sortMail gives the tables for this process's own dispatcher, and leaves the others for those who send them. Of a server that does not listen they are lost. It
// is called with planning held.
func sortMail(a *Activator, tables []*protocol.Table) []*protocol.Table {
	if a.cfg.Server == "" {
		return tables
	}
	return slices.DeleteFunc(tables, func(t *protocol.Table) bool {
		if box := a.mail[t.To]; box != nil {
			box.add(t)
		}
		return t.To != a.cfg.Server
	})
}

// outbox is the tables that one server has not been sent yet. It is used with planning held: who sends takes all that a step had for its server at once.
type outbox struct {
	mail  []*protocol.Table
	fresh chan struct{} // pokes who sends
	ended chan struct{} // closed when there will be no more
}

func (b *outbox) add(t *protocol.Table) {
	if len(b.mail) == mailMost {
		b.mail = nil // its reader is slow: what it lacks it is told again, whole
	}
	b.mail = append(b.mail, t)
	poke(b.fresh)
}

func unlisten(a *Activator, server string, box *outbox) {
	a.planning.Lock()
	defer a.planning.Unlock()
	if a.mail[server] == box {
		delete(a.mail, server)
	}
}
