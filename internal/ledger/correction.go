package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// maxReason bounds the words of a correction, and a key, in bytes.
const maxReason = 1000

// Correction asks for less to be paid for a usage record.
type Correction struct {
	Record string        // ID of a usage record
	Credit fleet.NanoUSD // 0 = all that is left of its cost
	Reason string
	Key    string // asked again with the same key, it is made once; "" = it is one of its own
	By     string // who asks, for the log
}

// Correct takes something off what a usage record costs: it appends a record of its own that names it, dated as it, whose cost is what is credited, below
// zero. The record itself stays as it is. With those before it, a correction never credits more than the record costs; corrections cannot be
// corrected. It counts in all sums at once; it is on the invoice of its record's month, or, where that is closed, on the next.
// Mistakes are *InvalidErrors; the error is ErrNotFound where there is no such record.
//
// It is noted in the store before it is appended, so that a crash in between loses or doubles nothing: the next start appends it.
func (l *Ledger) Correct(ctx context.Context, c Correction) (made *Record, already bool, err error) {
	if err := c.check(); err != nil {
		return nil, false, err
	}
	l.correcting.Lock()
	defer l.correcting.Unlock()
	of, err := l.find(ctx, c.Record)
	if err != nil {
		return nil, false, fmt.Errorf("looking the usage record %s up: %w", c.Record, err)
	}
	if of.Kind != KindUsage {
		return nil, false, &InvalidError{"record", "it is a correction; name the record that it corrects, " + of.Corrects}
	}
	var appended bool
	err = l.store.Write(ctx, func(tx *sql.Tx) error {
		ctx := context.WithoutCancel(ctx) // see moveSegment
		if made, appended, err = c.before(ctx, tx); made != nil || err != nil {
			already = true
			return err
		}
		made, err = c.note(ctx, tx, of)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("correcting usage record %s: %w", c.Record, err)
	}
	if appended {
		return made, already, nil
	}
	if err := l.appendCorrection(ctx, made); err != nil {
		return nil, false, err
	}
	l.log.Info("a usage record is corrected", "org", made.Org, "record", made.Corrects, "correction", made.ID,
		"credit_usd", -made.Cost, "reason", made.Reason, "by", c.By)
	return made, already, nil
}

func (c *Correction) check() error {
	for _, f := range []struct {
		name, text string
		needed     bool
	}{{"record", c.Record, true}, {"reason", c.Reason, true}, {"idempotency_key", c.Key, false}} {
		switch {
		case f.needed && strings.TrimSpace(f.text) == "":
			return &InvalidError{f.name, "it is empty; a correction names the record and why it is made"}
		case len(f.text) > maxReason || !utf8.ValidString(f.text):
			return &InvalidError{f.name, fmt.Sprintf("it is longer than %d bytes, or no UTF-8", maxReason)}
		}
	}
	if c.Credit < 0 {
		return &InvalidError{"credit_usd", "it is less than nothing; a correction only takes off what a record costs"}
	}
	return nil
}

// find gives the record with an ID, whether it is in the store or not yet. The error is ErrNotFound where there is none.
func (l *Ledger) find(ctx context.Context, id string) (found *Record, err error) {
	err = l.read(ctx, "", func(v *view) error {
		err := v.eachUnmoved(ctx, func(r *rawFields) bool {
			if string(r.texts[fieldID]) == id {
				record := r.record()
				found = &record
			}
			return found == nil
		})
		if found != nil || err != nil {
			return err
		}
		in, err := find(ctx, v.tx, "", id)
		if in != nil {
			found = &in.record
		}
		return err
	})
	if err == nil && (found == nil || found.DispatchedAt.UnixMicro() < l.oldest()) {
		err = ErrNotFound
	}
	return found, err
}

// before gives the record of a correction that was asked for before with the same key; nil where there is none.
func (c *Correction) before(ctx context.Context, tx *sql.Tx) (made *Record, appended bool, err error) {
	if c.Key == "" {
		return nil, false, nil
	}
	var body string
	var asked int64
	err = tx.QueryRowContext(ctx, "SELECT body, asked, appended FROM corrections WHERE idempotency_key = $1", c.Key).Scan(&body, &asked, &appended)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	made = new(Record)
	if err == nil {
		err = json.Unmarshal([]byte(body), made)
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading a correction: %w", err)
	}
	if made.Corrects != c.Record || asked != int64(c.Credit) || made.Reason != c.Reason {
		return nil, false, &InvalidError{"idempotency_key", "it was that of another correction, of record " + made.Corrects}
	}
	return made, appended, nil
}

// note makes the record of a correction and notes it in the store.
func (c *Correction) note(ctx context.Context, tx *sql.Tx, of *Record) (*Record, error) {
	var credited int64
	if err := tx.QueryRowContext(ctx, "SELECT COALESCE(SUM(credit), 0) FROM corrections WHERE record = $1", of.ID).Scan(&credited); err != nil {
		return nil, fmt.Errorf("adding up corrections: %w", err)
	}
	left, credit := of.Cost-fleet.NanoUSD(credited), c.Credit
	if credit == 0 {
		credit = left
	}
	switch {
	case left <= 0:
		return nil, &InvalidError{"record", fmt.Sprintf("it costs %s USD, and all of that is credited already", of.Cost)}
	case credit > left:
		return nil, &InvalidError{"credit_usd", fmt.Sprintf("%s USD is more than the %s USD that are left of the record's cost of %s USD", credit, left, of.Cost)}
	}
	made := &Record{
		ID: NewID(), Kind: KindCorrection, Org: of.Org, TokenID: of.TokenID, Model: of.Model, Instance: of.Instance, GPUs: of.GPUs, Start: of.Start,
		ReceivedAt: time.Now(), DispatchedAt: of.DispatchedAt, Price: of.Price, Cost: -credit, Status: of.Status, Corrects: of.ID, Reason: c.Reason,
	}
	made.complete()
	body, err := json.Marshal(made)
	if err != nil {
		return nil, err
	}
	key := c.Key
	if key == "" {
		key = made.ID
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO corrections (id, idempotency_key, record, dispatched_at, asked, credit, body, appended)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`, made.ID, key, of.ID, of.DispatchedAt.UnixMicro(), int64(c.Credit), int64(credit), string(body))
	if err != nil {
		return nil, fmt.Errorf("noting a correction: %w", err)
	}
	err = audit.Note(ctx, tx, audit.Change{
		Subject: "record/" + of.ID, Before: map[string]any{"credited_usd": fleet.NanoUSD(credited).String()},
		After: map[string]any{
			"credited_usd": (fleet.NanoUSD(credited) + credit).String(), "correction": made.ID, "credit_usd": credit.String(), "org": of.Org, "reason": c.Reason, "by": c.By,
		},
	})
	return made, err
}

// appendCorrection appends a correction that is noted, where that was not done before. Another server may be at the same: the mover knows
// corrections by their IDs, too.
func (l *Ledger) appendCorrection(ctx context.Context, made *Record) error {
	_, err := l.find(ctx, made.ID)
	if errors.Is(err, ErrNotFound) {
		if err = l.Append(made); err == nil {
			l.corrected(made)
		}
	}
	if err != nil {
		return fmt.Errorf("appending a correction: %w", err)
	}
	return l.store.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.WithoutCancel(ctx), "UPDATE corrections SET appended = 1 WHERE id = $1", made.ID)
		return err
	})
}

// finishCorrections appends corrections that were noted, and that whoever has noted them could not append.
func (l *Ledger) finishCorrections(ctx context.Context) error {
	l.correcting.Lock()
	defer l.correcting.Unlock()
	rows, err := l.store.DB().QueryContext(ctx, "SELECT body FROM corrections WHERE appended = 0 ORDER BY id")
	if err != nil {
		return fmt.Errorf("looking for corrections: %w", err)
	}
	defer rows.Close()
	var all []*Record
	for rows.Next() {
		var body string
		made := new(Record)
		if err := rows.Scan(&body); err != nil {
			return fmt.Errorf("reading a correction: %w", err)
		}
		if err := json.Unmarshal([]byte(body), made); err != nil {
			return fmt.Errorf("reading a correction: %w", err)
		}
		all = append(all, made)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("looking for corrections: %w", err)
	}
	for _, made := range all {
		if err := l.appendCorrection(ctx, made); err != nil {
			return err
		}
	}
	return nil
}
