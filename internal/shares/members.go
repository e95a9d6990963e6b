package shares

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/rounds"
)

// errGivenUp says that the others have taken this server for gone.
var errGivenUp = errors.New("other servers have given this one up")

// write is a transaction of this server, which says that it lives. Once it has returned, shares are good for their lease from when it began.
func (s *Shares) write(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	err := s.store.WriteBeside(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "UPDATE share_servers SET beats = beats + 1 WHERE server = $1", s.server)
		if err != nil {
			return fmt.Errorf("saying that this server lives: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(errGivenUp, err)
		}
		return f(ctx, tx)
	})
	if err == nil {
		s.accounts.Lease(began.Add(leaseFor))
	}
	return err
}

// tell has the others know something, once the transaction is committed.
func (s *Shares) tell(ctx context.Context, tx *sql.Tx, kind string) error {
	return s.store.Notify(ctx, tx, topic, kind+" "+s.server)
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
	err := s.store.WriteBeside(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO share_servers (server, beats) VALUES ($1, 1) ON CONFLICT (server) DO UPDATE SET beats = share_servers.beats + 1", s.server)
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM shares WHERE server = $1", s.server)
		}
		if err != nil {
			return fmt.Errorf("joining those who share limits: %w", err)
		}
		return s.tell(ctx, tx, tellFreed)
	})
	if err == nil {
		s.accounts.Lease(began.Add(leaseFor))
	}
	return err
}

// beat says that this server lives, and looks who else does.
func (s *Shares) beat(ctx context.Context) error {
	err := s.write(ctx, func(context.Context, *sql.Tx) error { return nil })
	if errors.Is(err, errGivenUp) {
		err = s.givenUp(ctx)
	}
	if err != nil {
		return err
	}
	if err := s.readOthers(ctx); err != nil {
		return err
	}
	for server, o := range s.others {
		if time.Since(o.at) >= goneAfter {
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
	rows, err := s.store.DB().QueryContext(ctx, "SELECT server, beats FROM share_servers WHERE server <> $1", s.server)
	if err != nil {
		return fmt.Errorf("reading who shares limits: %w", err)
	}
	defer rows.Close()
	there := map[string]*other{}
	for rows.Next() {
		var server string
		var beats int64
		if err := rows.Scan(&server, &beats); err != nil {
			return fmt.Errorf("reading who shares limits: %w", err)
		}
		o := s.others[server]
		if o == nil || o.beats != beats {
			o = &other{beats: beats, at: time.Now()}
		}
		there[server] = o
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading who shares limits: %w", err)
	}
	s.others = there
	return nil
}

// giveUp takes a server for gone that has said nothing since it was seen with so many beats.
func (s *Shares) giveUp(ctx context.Context, server string, beats int64) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	gone := false
	err := s.store.WriteBeside(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "DELETE FROM share_servers WHERE server = $1 AND beats = $2", server, beats)
		if err != nil {
			return fmt.Errorf("giving up server %s: %w", server, err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err // it has just said something
		}
		gone = true
		if _, err := tx.ExecContext(ctx, "DELETE FROM shares WHERE server = $1", server); err != nil {
			return fmt.Errorf("giving up server %s: %w", server, err)
		}
		return s.tell(ctx, tx, tellFreed)
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
	err := s.store.WriteBeside(ctx, func(tx *sql.Tx) error {
		for _, statement := range [...]string{"DELETE FROM share_servers WHERE server = $1", "DELETE FROM shares WHERE server = $1"} {
			if _, err := tx.ExecContext(ctx, statement, s.server); err != nil {
				return err
			}
		}
		return s.tell(ctx, tx, tellFreed)
	})
	if err != nil {
		s.log.WarnContext(ctx, "what this server had of limits was not given back; the next start does it, or the others after a while", "reason", err, "for", goneAfter)
	}
}
