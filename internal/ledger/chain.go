package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// chain makes of each organisation's records a chain: each has the hash of the one before it. A chain is one server's, so that no server waits for
// another; that is a log's directory, whose file "chain" has its ID. The hashes of the last records that were moved are kept in the
// store, by the mover in its own transaction, and those of the log follow from it. It is guarded by wal.mu.
type chain struct {
	id    string
	heads map[string]*Hash // by organisation: of its last record
	steps []step           // back from what may still be taken back, oldest first
	text  []byte           // memory for what is hashed
}

// step is one back.
type step struct {
	head   *Hash
	before Hash
}

// add puts a record at the end of its organisation's chain.
func (c *chain) add(r *Record) {
	head := c.heads[r.Org]
	if head == nil {
		head = new(Hash)
		c.heads[strings.Clone(r.Org)] = head
	}
	c.steps = append(c.steps, step{head, *head})
	r.Chain, r.Previous = c.id, *head
	c.text = appendHashed(c.text[:0], r)
	*head = sha256.Sum256(c.text)
}

// back undoes all but the first so many steps.
func (c *chain) back(to int) {
	for i := len(c.steps) - 1; i >= to; i-- {
		*c.steps[i].head = c.steps[i].before
	}
	c.steps = c.steps[:to]
}

// keep forgets the first so many steps: nothing takes their records back any more.
func (c *chain) keep(steps int) { c.steps = c.steps[:copy(c.steps, c.steps[steps:])] }

// openChain goes on with the chain of the log's directory, if the store knows it; else it begins another.
func (l *Ledger) openChain(ctx context.Context) error {
	path := filepath.Join(l.wal.dir, "chain")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c := &l.wal.chain
	c.id = string(bytes.TrimSpace(text))
	if err := c.load(ctx, l.store.DB()); err != nil {
		return fmt.Errorf("reading the ends of usage records' chains: %w", err)
	}
	if len(c.heads) > 0 {
		return nil
	}
	c.id = NewID()
	return keepFile(path, c.id+"\n")
}

// keepFile replaces a file, which only its owner reads, so that it has the one text or the other, whatever happens.
func keepFile(path, text string) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+".new", path), Machine{}.SyncDir(filepath.Dir(path)))
}

func (c *chain) load(ctx context.Context, db querier) error {
	c.heads = map[string]*Hash{}
	rows, err := db.QueryContext(ctx, "SELECT org, hash FROM usage_chains WHERE chain = $1", c.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var org string
		var hash []byte
		if err := rows.Scan(&org, &hash); err != nil {
			return err
		}
		head := new(Hash)
		if copy(head[:], hash) != len(head) {
			return fmt.Errorf("%s has one of %d bytes", org, len(hash))
		}
		c.heads[org] = head
	}
	return rows.Err()
}

// chainKey is a row of usage_chains.
type chainKey struct{ chain, org string }

// ends are the last records of chains in one transaction of the mover.
type ends map[chainKey]*[]byte

// add notes a record, whose payload stays as it is until the transaction is over.
func (e ends) add(f *rawFields, payload []byte) {
	if len(f.texts[fieldChain]) == 0 {
		return
	}
	last := e[chainKey{string(f.texts[fieldChain]), string(f.texts[fieldOrg])}] // no copies
	if last == nil {
		last = new([]byte)
		e[chainKey{string(f.texts[fieldChain]), string(f.texts[fieldOrg])}] = last
	}
	*last = payload
}

// store keeps their hashes.
func (e ends) store(ctx context.Context, tx *sql.Tx) error {
	if len(e) == 0 {
		return nil
	}
	upsert, err := tx.PrepareContext(ctx, `INSERT INTO usage_chains (chain, org, hash) VALUES ($1, $2, $3)
		ON CONFLICT (chain, org) DO UPDATE SET hash = excluded.hash`)
	if err != nil {
		return fmt.Errorf("preparing to keep the end of a chain: %w", err)
	}
	defer upsert.Close()
	for key, payload := range e {
		var f rawFields
		if err := f.read(*payload); err != nil {
			return err
		}
		r := f.record()
		hash := HashOf(&r)
		if _, err := upsert.ExecContext(ctx, key.chain, key.org, hash[:]); err != nil {
			return fmt.Errorf("keeping the end of the chain of %s: %w", key.org, err)
		}
	}
	return nil
}
