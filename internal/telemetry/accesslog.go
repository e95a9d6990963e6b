package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

const (
	linesHeld    = 8192               // that wait for the disk; about 4 MiB
	writeMost    = 256 << 10          // bytes of one write
	lookForFile  = time.Second        // how often the file's name is looked up, to find that it was rotated
	sayItAgain   = time.Minute        // that lines cannot be written
	filesOwnOnly = os.FileMode(0o600) // who may call is nobody else's business
)

// Stdout as the path of an access log means the process's standard output.
const Stdout = "-"

// AccessLogConfig is what NewAccessLog needs. Path is required.
type AccessLogConfig struct {
	Path   string       // of the file, which is appended to, or Stdout
	Stdout io.Writer    // what Stdout stands for; nil = the process's
	Buffer int          // lines that wait for the disk; 0 = 8192
	Log    *slog.Logger // nil = discard
}

// AccessLog writes a line for each request. Add and Reopen may be called from any goroutine.
//
//	Add ── queue, bounded ──► Run ── encode, in batches ──► file
type AccessLog struct {
	c       AccessLogConfig
	queue   chan Request
	reopen  chan struct{}
	set     *metrics.Set
	written *metrics.Counter
	dropped *metrics.Counter
	stuck   atomic.Bool // lines cannot be written

	// Of Run's goroutine.
	out      io.Writer
	file     *os.File // nil = it is standard output, or could not be opened
	lookedAt time.Time
	saidAt   time.Time
	torn     bool // the last write has ended within a line
	batch    bytes.Buffer
	lines    int // in batch
}

// NewAccessLog opens the file, so that a path that does not work is known at the start. It starts nothing.
func NewAccessLog(c AccessLogConfig) (*AccessLog, error) {
	if c.Buffer <= 0 {
		c.Buffer = linesHeld
	}
	if c.Stdout == nil {
		c.Stdout = os.Stdout
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l := &AccessLog{c: c, queue: make(chan Request, c.Buffer), reopen: make(chan struct{}, 1), set: metrics.NewSet()}
	l.written = l.set.NewCounter("pilotlight_access_log_lines_total")
	l.dropped = l.set.NewCounter("pilotlight_access_log_dropped_total")
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("opening the access log: %w", err)
	}
	return l, nil
}

// Metrics gives what was written and what was dropped.
func (l *AccessLog) Metrics() *metrics.Set { return l.set }

// Add has a line written of a request that is over. Where too many wait already, it is dropped and counted.
func (l *AccessLog) Add(r *Request) {
	select {
	case l.queue <- *r:
	default:
		l.dropped.Inc()
	}
}

// Reopen opens the file of that name anew, for whoever has renamed it. What was added before may still be written to the former.
func (l *AccessLog) Reopen() {
	select {
	case l.reopen <- struct{}{}:
	default: // it is asked for already
	}
}

// Run writes until ctx is done, then what is left, and closes the file. It is called once.
func (l *AccessLog) Run(ctx context.Context) error {
	for {
		select {
		case r := <-l.queue:
			l.take(&r)
		case <-l.reopen:
			l.turnOver()
		case <-ctx.Done():
			l.drain()
			return l.close()
		}
	}
}

// take writes a line, and with it those that wait already.
func (l *AccessLog) take(r *Request) {
	l.append(r)
	for l.batch.Len() < writeMost {
		select {
		case next := <-l.queue:
			l.append(&next)
			continue
		default:
		}
		break
	}
	l.flush()
}

func (l *AccessLog) drain() {
	for {
		select {
		case r := <-l.queue:
			l.take(&r)
		default:
			return
		}
	}
}

func (l *AccessLog) append(r *Request) {
	text, err := json.Marshal(lineOf(r))
	if err != nil {
		panic(err) // plain data
	}
	l.batch.Write(text)
	l.batch.WriteByte('\n')
	l.lines++
}

// flush writes the batch. Lines that cannot be written are lost: to keep them would only move the bound.
func (l *AccessLog) flush() {
	if l.file != nil && time.Since(l.lookedAt) >= lookForFile && l.moved() {
		l.turnOver()
	}
	if l.out == nil && time.Since(l.lookedAt) >= lookForFile {
		l.turnOver()
	}
	n, err := l.write()
	switch lines := l.lines; {
	case err != nil:
		done := bytes.Count(l.batch.Bytes()[:n], []byte{'\n'})
		l.written.Add(done)
		l.dropped.Add(lines - done)
		l.complain(err)
	default:
		l.written.Add(lines)
		if l.stuck.Swap(false) {
			l.c.Log.Info("access log is written again", "file", l.c.Path)
		}
	}
	l.batch.Reset()
	l.lines = 0
}

var errNotOpen = errors.New("the file is not open")

func (l *AccessLog) write() (int, error) {
	if l.out == nil {
		return 0, errNotOpen
	}
	if l.torn { // what follows begins a line of its own
		if _, err := l.out.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		l.torn = false
	}
	n, err := l.out.Write(l.batch.Bytes())
	l.torn = n > 0 && l.batch.Bytes()[n-1] != '\n'
	return n, err
}

// complain says that lines are lost, once and then now and again.
func (l *AccessLog) complain(err error) {
	if l.stuck.Swap(true) && time.Since(l.saidAt) < sayItAgain {
		return
	}
	l.saidAt = time.Now()
	l.c.Log.Warn("access log cannot be written, lines are dropped", "file", l.c.Path, "reason", err)
}

// moved reports whether the file that is open is no longer the one of its name.
func (l *AccessLog) moved() bool {
	l.lookedAt = time.Now()
	named, err := os.Stat(l.c.Path)
	if err != nil {
		return true
	}
	open, err := l.file.Stat()
	return err != nil || !os.SameFile(named, open)
}

// turnOver goes on in the file of that name.
func (l *AccessLog) turnOver() {
	if err := l.close(); err != nil {
		l.complain(err)
	}
	if err := l.open(); err != nil {
		l.complain(err)
	}
}

func (l *AccessLog) open() error {
	if l.c.Path == Stdout {
		l.out = l.c.Stdout
		return nil
	}
	l.lookedAt = time.Now()
	file, err := os.OpenFile(l.c.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, filesOwnOnly)
	if err != nil {
		return err
	}
	l.file, l.out, l.torn = file, file, false
	return nil
}

func (l *AccessLog) close() error {
	file := l.file
	l.file, l.out = nil, nil
	if file == nil {
		return nil
	}
	return file.Close()
}
