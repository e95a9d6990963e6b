package nomad

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// blamed is an error with one of fleet's that says what is to blame. Its text is the error's own.
type blamed struct {
	error
	culprit error
}

func (e blamed) Unwrap() []error { return []error{e.error, e.culprit} }

// blame adds to an error of Nomad's what is to blame: a newer server, our rights, a place, or that nobody answers. Any other is the act's own.
func blame(err error) error {
	status, _ := refusal(err)
	switch {
	case err == nil, blames(err):
		return err
	case status == http.StatusForbidden, errors.Is(err, ErrNoSlotKey):
		return blamed{err, fleet.ErrDenied}
	case errors.Is(err, ErrNoSlot):
		return blamed{err, fleet.ErrPlaceClosed}
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), passing(err):
		return blamed{err, fleet.ErrUnreachable}
	}
	return err
}

// blameSlot is blame for an error of a supervisor's client.
func blameSlot(err error) error {
	var transport *url.Error
	var network net.Error
	switch {
	case err == nil, blames(err):
		return err
	case errors.Is(err, slot.ErrOldTerm):
		return blamed{err, fleet.ErrFenced}
	case errors.Is(err, slot.ErrUnauthorized):
		return blamed{err, fleet.ErrDenied}
	case errors.Is(err, slot.ErrShuttingDown):
		return blamed{err, fleet.ErrPlaceClosed}
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &transport), errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		return blamed{err, fleet.ErrUnreachable}
	}
	return err
}

// blames reports whether an error says already what is to blame.
func blames(err error) bool {
	for _, culprit := range []error{fleet.ErrFenced, fleet.ErrDenied, fleet.ErrUnreachable, fleet.ErrPlaceClosed} {
		if errors.Is(err, culprit) {
			return true
		}
	}
	return false
}
