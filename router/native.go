package router

import (
	"net/http"

	"github.com/pilotlight-io/pilotlight/internal/dialect"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// sortNative is sort for an engine that speaks the caller's dialect itself: whole events are relayed as they are, and the one that ends the answer is kept
// back. Pings are dropped as comments are.
func (a *attempt) sortNative(d dialect.Dialect) error {
	for a.line.scan.Next() {
		e := a.line.scan.Event()
		switch e.Kind {
		case openai.KindComment, openai.KindDone: // the dialects have an end of their own
			continue
		case openai.KindError:
			return a.refused(http.StatusOK, e.Data)
		}
		if !isObject(e.Data) {
			return errNotEvents
		}
		event := d.Read(e.Data)
		a.said = a.said.Later(event.Usage)
		switch event.Kind {
		case dialect.EventPing:
			continue
		case dialect.EventFailed:
			return a.refused(http.StatusOK, e.Data)
		}
		if err := a.firstToken(); err != nil {
			return err
		}
		if event.Kind == dialect.EventEnd {
			return a.end(e.Raw)
		}
		a.out = append(a.out, e.Raw...)
	}
	return nil
}
