package shares

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/rounds"
)

// errGivenUp says that the others have taken this server for gone.
var errGivenUp = errors.New("other servers have given this one up")

// write is a transaction of this server, which says that it lives. Once it has returned, shares are good for their lease from when it began.
func (s *Shares) write(ctx context.Context, f func(context.Context, page) error) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	err := s.book.write(ctx, func(p page) error {
		known, err := p.beat(ctx, s.server)
		if err != nil {
			return fmt.Errorf("saying that this server lives: %w", err)
		}
		if !known {
			return errGivenUp
		}
		return f(ctx, p)
	})
	if err == nil {
		s.accounts.Lease(began.Add(leaseFor))
	}
	return err
}

// tell has the others know something, once the transaction is committed.
func (s *Shares) tell(ctx context.Context, p page, kind string) error {
	return p.tell(ctx, kind+" "+s.server)
}

// told notes what a server has said.
func (s *Shares) told(what string) {
	switch kind, server, _ := strings.Cut(what, " "); {
	case server == s.server:
	case kind == tellLacks:
		rounds.Nudge(s.lacks)
	case kind == tellFreed:
		rounds.Nudge(s.freed)
	}
}

// join begins this server's life: what a former one has left is nobody's.
func (s *Shares) join(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	err := s.book.write(ctx, func(p page) error {
		if err := p.join(ctx, s.server); err != nil {
			return fmt.Errorf("joining those who share limits: %w", err)
		}
		return s.free(ctx, p, s.server)
	})
	if err == nil {
		s.accounts.Lease(began.Add(leaseFor))
	}
	return err
}

// beat says that this server lives, and looks who else does.
func (s *Shares) beat(ctx context.Context) error {
	err := s.write(ctx, func(context.Context, page) error { return nil })
	if errors.Is(err, errGivenUp) {
		err = s.givenUp(ctx)
	}
	if err != nil {
		return err
	}
	if err := s.readOthers(ctx); err != nil {
		return err
	}
	for _, server := range slices.Sorted(maps.Keys(s.others)) {
		if o := s.others[server]; time.Since(o.at) >= goneAfter {
			if err := s.giveUp(ctx, server, o.beats); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Shares) readOthers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	all, err := s.book.beats(ctx, s.server)
	if err != nil {
		return err
	}
	there := map[string]*other{}
	for server, beats := range all {
		o := s.others[server]
		if o == nil || o.beats != beats {
			o = &other{beats: beats, at: time.Now()}
		}
		there[server] = o
	}
	s.others = there
	return nil
}

// giveUp takes a server for gone that has said nothing since it was seen with so many beats.
func (s *Shares) giveUp(ctx context.Context, server string, beats int64) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	gone := false
	err := s.book.write(ctx, func(p page) (err error) {
		if gone, err = p.giveUp(ctx, server, beats); err != nil {
			return fmt.Errorf("giving up server %s: %w", server, err)
		}
		if !gone {
			return nil // it has just said something
		}
		return s.free(ctx, p, server)
	})
	if err == nil && gone {
		delete(s.others, server)
		s.log.WarnContext(ctx, "a server has said nothing for so long that its shares of limits are the others' now", "server", server, "for", goneAfter)
	}
	return err
}

// leaveAll gives all shares back, as far as that is possible.
func (s *Shares) leaveAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	s.accounts.DropShares()
	err := s.book.write(ctx, func(p page) error {
		if err := p.leave(ctx, s.server); err != nil {
			return err
		}
		return s.free(ctx, p, s.server)
	})
	if err != nil {
		s.log.WarnContext(ctx, "what this server had of limits was not given back; the next start does it, or the others after a while", "reason", err, "for", goneAfter)
	}
}

// free has nobody have a server's shares.
func (s *Shares) free(ctx context.Context, p page, server string) error {
	if err := p.drop(ctx, server); err != nil {
		return fmt.Errorf("freeing the shares of server %s: %w", server, err)
	}
	return s.tell(ctx, p, tellFreed)
}
