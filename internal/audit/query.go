package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// Query says which entries are asked for. Zero fields select all.
type Query struct {
	Actor    string
	Action   string    // org.update, or org: whatever is done to organisations
	Subject  string    // org/acme, or org: all organisations
	From, To time.Time // of the act; To itself is not included
	Limit    int       // of one page; 0 = 100
	Cursor   string    // what the page before gave as its next
}

// InvalidError says which field of a query is wrong, and what would be right.
type InvalidError struct{ Field, Message string }

func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }

// List gives a page of entries, the newest first, and where the next begins; "" = there is none.
func (l *Log) List(ctx context.Context, q Query) (page []Entry, next string, err error) {
	if q.Limit == 0 {
		q.Limit = 100
	}
	w, err := q.where()
	if err != nil {
		return nil, "", err
	}
	rows, err := l.store.DB().QueryContext(ctx, selectEntry+w.text()+" ORDER BY id DESC LIMIT "+w.value(q.Limit+1), w.values...)
	if err != nil {
		return nil, "", fmt.Errorf("reading the audit log: %w", err)
	}
	if err := each(rows, func(e *Entry) { page = append(page, *e) }); err != nil {
		return nil, "", err
	}
	if len(page) > q.Limit {
		page = page[:q.Limit]
		next = strconv.FormatInt(page[q.Limit-1].ID, 10)
	}
	return page, next, nil
}

// where collects conditions and their values.
type where struct {
	conditions []string
	values     []any
}

func (w *where) value(v any) string {
	w.values = append(w.values, v)
	return "$" + strconv.Itoa(len(w.values))
}

func (w *where) and(condition string) { w.conditions = append(w.conditions, condition) }

func (w *where) text() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// within holds a column to a word, or to what begins with it and the separator.
func (w *where) within(column, word, separator string) {
	if word != "" {
		w.and("(" + column + " = " + w.value(word) + " OR substr(" + column + ", 1, " + w.value(len([]rune(word))+1) + ") = " + w.value(word+separator) + ")")
	}
}

func (q *Query) where() (*where, error) {
	w := &where{}
	if q.Cursor != "" {
		before, err := strconv.ParseInt(q.Cursor, 10, 64)
		if err != nil || before < 1 {
			return nil, &InvalidError{"cursor", "it is no cursor; write next_cursor as it came, or the id of an entry: what is older follows"}
		}
		w.and("id < " + w.value(before))
	}
	if q.Actor != "" {
		w.and("actor = " + w.value(q.Actor))
	}
	w.within("action", q.Action, ".")
	w.within("subject", q.Subject, "/")
	if !q.From.IsZero() {
		w.and("at >= " + w.value(q.From.UnixMicro()))
	}
	if !q.To.IsZero() {
		w.and("at < " + w.value(q.To.UnixMicro()))
	}
	return w, nil
}

// CheckStore looks at the whole log of a store.
func CheckStore(ctx context.Context, s *store.Store) (*Checker, error) {
	c := &Checker{}
	err := s.ReadAll(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, selectEntry+" ORDER BY id DESC")
		if err != nil {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		return each(rows, c.Add)
	})
	c.End()
	return c, err
}

// selectEntry reads an entry with the hash of the one before.
const selectEntry = `SELECT id, at, actor, org, via, source, request_id, action, subject, old_value, new_value, error, hash,
	(SELECT b.hash FROM audit b WHERE b.id = audit.id - 1) FROM audit`

// each hands f all entries that a query gives.
func each(rows *sql.Rows, f func(*Entry)) error {
	defer rows.Close()
	for rows.Next() {
		var e Entry
		var at int64
		var before, after string
		var hash, previous []byte
		err := rows.Scan(&e.ID, &at, &e.Actor, &e.Org, &e.Via, &e.From, &e.Request, &e.Action, &e.Subject, &before, &after, &e.Error, &hash, &previous)
		if err != nil {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		e.At, e.Before, e.After = Instant{time.UnixMicro(at).UTC()}, json.RawMessage(before), json.RawMessage(after)
		copy(e.Hash[:], hash)
		copy(e.Previous[:], previous)
		f(&e)
	}
	return rows.Err()
}
