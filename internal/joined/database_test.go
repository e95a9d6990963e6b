package joined_test

import (
	"context"
	"database/sql/driver"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// database is the one that all servers share: an SQLite file with one writer at a time. Whoever has no way to it does not reach it.
type database struct {
	faultsim.Ways
	path    string
	reached func(state string)

	mu    sync.Mutex // guards what follows
	busy  bool       // somebody writes
	queue []chan struct{}
}

// silentMost is how long a connection says nothing before it is given up, as with Postgres.
const silentMost = 25 * time.Second

// open gives a server's store, over a way of its own.
func (d *database) open(ctx context.Context, way *faultsim.Way) (*store.Store, error) {
	return store.OpenThrough(ctx, d.path, func(inner driver.Connector) driver.Connector { return connector{inner, d, way} })
}

// lock has the caller be the only one that writes.
func (d *database) lock(ctx context.Context) error {
	d.mu.Lock()
	if !d.busy {
		d.busy = true
		d.mu.Unlock()
		return nil
	}
	got := make(chan struct{}, 1)
	d.queue = append(d.queue, got)
	d.mu.Unlock()
	d.reached("a transaction waited for another")
	select {
	case <-got:
		return nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	waits := slices.Contains(d.queue, got)
	d.queue = slices.DeleteFunc(d.queue, func(other chan struct{}) bool { return other == got })
	d.mu.Unlock()
	if !waits {
		d.unlock() // it was ours by then
	}
	return ctx.Err()
}

func (d *database) unlock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		d.busy = false
		return
	}
	d.queue[0] <- struct{}{}
	d.queue = d.queue[1:]
}

// connector makes connections of one life of a server.
type connector struct {
	driver.Connector
	d   *database
	way *faultsim.Way
}

// Connect makes one, that does not wait for the machine's disk. It takes no time: whether a connection is used again where a transaction's time was over is left
// to chance by database/sql.
func (c connector) Connect(context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	if _, err := inner.(driver.ExecerContext).ExecContext(context.Background(), "PRAGMA synchronous = OFF", nil); err != nil {
		return nil, err
	}
	return &conn{Conn: inner, d: c.d, way: c.way}, nil
}

// conn is a connection. One statement is on its way at a time.
type conn struct {
	driver.Conn
	d   *database
	way *faultsim.Way

	within context.Context // of the transaction that goes on; nil = there is none

	mu     sync.Mutex // guards what follows
	late   bool       // a transaction goes on of which its server has given up
	closed bool
}

// IsValid is false once it is of no more use.
func (c *conn) IsValid() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.late
}

// Close ends it once nothing goes on there.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed = true; c.late {
		return nil
	}
	return c.Conn.Close()
}

// pause is what a statement takes. It ends with the transaction's context, too: who ends that holds a mutex until the statement has ended.
func (c *conn) pause(ctx context.Context, what string) error {
	if c.within != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.within, cancel)()
	}
	return c.way.Pause(ctx, what)
}

// callers names what has called its caller, so that transactions which are begun at once are told apart.
func callers() (names []string) {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		frame, more := frames.Next()
		if names = append(names, frame.Function); !more {
			return names
		}
	}
}

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	t := &tx{c: c, writes: !opts.ReadOnly}
	if err := c.way.Pause(ctx, callers()...); err != nil {
		return nil, err
	}
	if t.writes {
		if err := c.d.lock(ctx); err != nil {
			return nil, err
		}
		t.fate = c.way.Fate("locked")
		if err := c.way.Pause(ctx, "locked"); err != nil { // whose lock it was goes on, too
			c.d.unlock()
			return nil, err
		}
	}
	inner, err := c.Conn.(driver.ConnBeginTx).BeginTx(context.Background(), opts)
	if err != nil && t.writes {
		c.d.unlock()
	}
	c.within, t.Tx = ctx, inner
	return t, err
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.pause(ctx, query); err != nil {
		return nil, err
	}
	inner, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
	return stmt{inner, c, query}, err
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.pause(ctx, query); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(context.Background(), query, args)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.pause(ctx, query); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(context.Background(), query, args)
}

// stmt is a prepared statement.
type stmt struct {
	driver.Stmt
	c     *conn
	query string
}

func (s stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.c.pause(ctx, s.query); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(context.Background(), args)
}

func (s stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.c.pause(ctx, s.query); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtQueryContext).QueryContext(context.Background(), args)
}

// tx is a transaction.
type tx struct {
	driver.Tx
	c      *conn
	writes bool
	fate   faultsim.Fate
}

func (t *tx) Commit() error {
	t.c.within = nil
	err := t.c.way.Pause(context.Background(), "commit")
	switch {
	case err != nil:
		_ = t.Rollback()
		return err
	case !t.writes:
		return t.Tx.Commit()
	case t.fate == faultsim.LostBefore:
		_ = t.Rollback()
		t.c.d.reached(t.fate.String())
		return faultsim.ErrBroken
	case t.fate == faultsim.LostLater:
		t.goOn()
		return faultsim.ErrBroken
	}
	err = t.Tx.Commit()
	t.c.d.unlock()
	if err == nil && (t.c.way.Pause(context.Background(), "commit") != nil || t.fate == faultsim.LostAnswer) {
		t.c.d.reached(faultsim.LostAnswer.String())
		err = faultsim.ErrBroken
	}
	return err
}

func (t *tx) Rollback() error {
	t.c.within = nil
	err := t.Tx.Rollback()
	if t.writes {
		t.c.d.unlock()
	}
	return err
}

// goOn has the transaction be committed, or undone, when its server has given it up.
func (t *tx) goOn() {
	t.c.d.reached(t.fate.String())
	c := t.c
	c.mu.Lock()
	c.late = true
	c.mu.Unlock()
	after, commits := c.way.Late("commit")
	time.AfterFunc(after, func() {
		end := t.Tx.Rollback
		if commits {
			end = t.Tx.Commit
		}
		_ = end()
		c.d.unlock()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.late = false; c.closed {
			_ = c.Conn.Close()
		}
	})
}
