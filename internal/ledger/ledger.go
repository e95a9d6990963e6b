package ledger

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// Errors of this package.
var (
	ErrNotFound = errors.New("no such usage record")
	ErrClosed   = errors.New("the ledger is closed")
	ErrLocked   = errors.New("another process has the ledger open")
)

// InvalidError says which field of a query is wrong, and what would be right.
type InvalidError struct {
	Field, Message string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }

// Durability says what Append waits for.
type Durability string

// Async survives the process being killed, and a power cut 50 ms later; Sync survives a power cut.
const (
	Async Durability = "async"
	Sync  Durability = "sync"
)

// Kind says what a record is.
type Kind string

// The kinds of records.
const (
	KindUsage      Kind = "usage"
	KindCorrection Kind = "correction"
)

// Outcome says how a dispatched request ended; it is a record's status.
type Outcome string

// The outcomes. Only an engine error costs nothing.
const (
	Complete       Outcome = "complete"
	ClientGone     Outcome = "client_gone"
	TimedOut       Outcome = "timed_out"
	BudgetExceeded Outcome = "budget_exceeded"
	EngineError    Outcome = "engine_error"
)

// Record is one usage record: one dispatched request. Append cuts its times and durations to microseconds.
// Its JSON is the object that the contract's /api/usage/records answers.
type Record struct {
	ID               string // of our own making; Append fills it where it is empty
	RequestID        string // the caller's word; may repeat
	Kind             Kind   // empty = usage
	Org              string
	TokenID          string
	Model            string
	Instance         string
	GPUs             int
	Start            fleet.Tier // hot, parked or cold
	ReceivedAt       time.Time
	DispatchedAt     time.Time // decides the day and the month
	Queue            time.Duration
	Activate         time.Duration
	TTFT             time.Duration
	Upstream         time.Duration
	Billed           time.Duration // see Billed
	PromptTokens     int64
	CompletionTokens int64
	Price            fleet.NanoUSD // per GPU-hour
	Cost             fleet.NanoUSD // of a usage record Append fills it: Cost(Billed, GPUs, Price)
	Status           Outcome
}

// NewID makes an ID for a record.
func NewID() string { panic("unfinished") }

// Cost gives the price of billed time on GPUs, exact, rounded half to even once.
func Cost(billed time.Duration, gpus int, price fleet.NanoUSD) fleet.NanoUSD { panic("unfinished") }

// Billed gives the time that the caller pays for.
func Billed(o Outcome, dispatched, ended time.Time) time.Duration { panic("unfinished") }

// Config is what Open needs.
type Config struct {
	Dir        string        // of the write-ahead log; created where missing
	Store      *store.Store  // stays the caller's; close it after the ledger
	Durability Durability    // empty = Async
	Retention  time.Duration // records dispatched longer ago are deleted; 0 = 400 days
	Log        *slog.Logger  // nil = discard
}

// Ledger keeps usage records.
type Ledger struct{}

// Open opens the log in c.Dir and moves what a former life left in it into the store before it returns.
func Open(ctx context.Context, c Config) (*Ledger, error) { panic("unfinished") }

// Run moves records from the log to the store until ctx is done; it returns after the last batch.
func (l *Ledger) Run(ctx context.Context) error { panic("unfinished") }

// Close moves what is left, and closes the log. Append fails afterwards.
func (l *Ledger) Close() error { panic("unfinished") }

// Append writes one record to the log.
func (l *Ledger) Append(r *Record) error { panic("unfinished") }

// By says how usage is grouped.
type By string

// Rows are always per org and model; ByToken and ByDay split them further.
const (
	ByModel By = "model"
	ByToken By = "token"
	ByDay   By = "day"
)

// Query selects usage. Empty fields select everything.
type Query struct {
	Org, TokenID, Model string
	From, To            time.Time // of the dispatch: From <= t < To
	By                  By        // empty = ByModel
	Limit               int       // rows; 0 = 1000
	Cursor              string    // the next of the page before
}

// UsageRow is the usage of one group. Times are whole microseconds, because their sums would overflow a Duration.
type UsageRow struct {
	Org              string        `json:"org"`
	Model            string        `json:"model"`
	TokenID          string        `json:"token_id,omitempty"` // only ByToken
	Day              string        `json:"day,omitempty"`      // only ByDay: YYYY-MM-DD, UTC
	Requests         int64         `json:"requests"`
	PromptTokens     int64         `json:"prompt_tokens"`
	CompletionTokens int64         `json:"completion_tokens"`
	BilledUS         int64         `json:"billed_us"`
	GPUUS            int64         `json:"gpu_us"`
	Cost             fleet.NanoUSD `json:"cost_nano_usd"`
}

// Usage sums records up. next is the cursor of the next page, "" at the end.
func (l *Ledger) Usage(ctx context.Context, q Query) (rows []UsageRow, next string, err error) {
	panic("unfinished")
}

// Records lists records, oldest first, after the record whose ID is cursor ("" = from the start). org "" = of all.
// next is "" at the end; the ID of any record is a valid cursor. limit 0 = 100.
func (l *Ledger) Records(ctx context.Context, org, cursor string, limit int) (records []Record, next string, err error) {
	panic("unfinished")
}

// Receipt gives the newest record of a token's request, or ErrNotFound.
func (l *Ledger) Receipt(ctx context.Context, tokenID, requestID string) (*Record, error) {
	panic("unfinished")
}

// Metrics gives the ledger's metrics.
func (l *Ledger) Metrics() *metrics.Set { panic("unfinished") }

// Month gives the first moment of a UTC month "YYYY-MM" and of the next.
func Month(s string) (from, to time.Time, err error) { panic("unfinished") }

// WriteCSV writes rows as CSV with a header.
func WriteCSV(w io.Writer, rows []UsageRow) error { panic("unfinished") }

// WriteFOCUS writes rows as FinOps FOCUS 1.0 CSV. from and to are what the rows were queried with.
func WriteFOCUS(w io.Writer, rows []UsageRow, from, to time.Time) error { panic("unfinished") }
