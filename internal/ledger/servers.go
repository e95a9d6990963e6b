package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ofOrg is the token under which usage_servers has what an organisation has spent with all its tokens. No token has such an ID.
const ofOrg = "*"

// Server is the ID of this server among those that share a store: that of its log's directory, so that it stays the same from life to life as long as
// the log does.
func (l *Ledger) Server() string { return l.server }

// openServer reads the ID of the log's directory, or gives it one.
func (l *Ledger) openServer() error {
	path := filepath.Join(l.wal.dir, "server")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if l.server = string(bytes.TrimSpace(text)); l.server != "" {
		return nil
	}
	l.server = NewID()
	return keepFile(path, l.server+"\n")
}

var upsertServer = "INSERT INTO usage_servers (day, org, token_id, server, cost_nano_usd) VALUES ($1, $2, $3, $4, $5)" +
	" ON CONFLICT (org, token_id, day, server) DO UPDATE SET " + saturating("usage_servers", "cost_nano_usd")

// storeServer adds the sums to those that a server has brought, in the transaction that moves their records.
func (d days) storeServer(ctx context.Context, tx *sql.Tx, server string) error {
	spent := map[Spent]int64{}
	for k, s := range d {
		if s.cost != 0 {
			for _, token := range [...]string{k.tokenID, ofOrg} {
				key := Spent{Org: k.org, TokenID: token, Day: timeOfDay(k.day)}
				spent[key] = plus(spent[key], s.cost)
			}
		}
	}
	if len(spent) == 0 {
		return nil
	}
	upsert, err := tx.PrepareContext(ctx, upsertServer)
	if err != nil {
		return fmt.Errorf("preparing to add up what this server brings: %w", err)
	}
	defer upsert.Close()
	for key, cost := range spent {
		if _, err := upsert.ExecContext(ctx, floorDay(key.Day.UnixMicro()), key.Org, key.TokenID, server, cost); err != nil {
			return fmt.Errorf("adding up what this server brings of %s: %w", key.Org, err)
		}
	}
	return nil
}
