package bench

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Schema names the form of a Result, and its version.
const Schema = "pilotlight-bench/1"

// Result is what one run, or several that were put together, came to. Its JSON is what `bench --out` writes.
type Result struct {
	Schema  string        `json:"schema"`
	Summary *Summary      `json:"summary,omitempty"` // made of the runs when it is written, for those who read JSON; nobody reads it back
	Runs    []Measurement `json:"runs"`
}

// Measurement is one run: how it was made, and what it came to.
type Measurement struct {
	Command   string    `json:"command"` // load, replay or coldstart
	URL       string    `json:"url"`
	Endpoint  string    `json:"endpoint"`
	Stream    bool      `json:"stream"`
	Models    []string  `json:"models"`
	Load      string    `json:"load"` // in words: "poisson, 10 requests a second, seed 7"
	SLO       string    `json:"slo,omitempty"`
	StartedAt time.Time `json:"started_at"`
	Seconds   float64   `json:"seconds"` // until the last answer had ended
	CutShort  bool      `json:"cut_short,omitempty"`
	Machine   string    `json:"machine"` // that the load came from
	Version   string    `json:"version"` // of Pilotlight's bench
	Blocks    []*Block  `json:"blocks"`
}

// Read reads a result.
func Read(r io.Reader) (*Result, error) {
	var result Result
	if err := json.NewDecoder(r).Decode(&result); err != nil {
		return nil, fmt.Errorf("reading a result: %w", err)
	}
	if result.Schema != Schema {
		return nil, fmt.Errorf("its schema is %q, not %q; it is no result of pilotlight bench, or one of another version", result.Schema, Schema)
	}
	for i := range result.Runs {
		for _, b := range result.Runs[i].Blocks {
			if b == nil || b.Seconds < 0 {
				return nil, errors.New("a block of it is no block")
			}
			b.complete()
		}
	}
	return &result, nil
}

// complete makes what JSON may leave out.
func (b *Block) complete() {
	empty := newBlock()
	if b.Failures == nil {
		b.Failures = empty.Failures
	}
	if b.Starts == nil {
		b.Starts = empty.Starts
	}
	if b.Latency == nil {
		b.Latency = empty.Latency
	}
	for metric, h := range b.Latency {
		if h == nil {
			delete(b.Latency, metric)
		}
	}
}

// Write writes a result with its summary.
func (r *Result) Write(w io.Writer) error {
	r.Schema = Schema
	var err error
	if r.Summary, err = r.Summarize(); err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// Merge puts results together: several generators of one load, or several runs of one kind. Runs that overlapped in time add up to one higher
// rate, others to a longer run.
func Merge(results ...*Result) (*Result, error) {
	merged := &Result{Schema: Schema}
	for _, r := range results {
		merged.Runs = append(merged.Runs, r.Runs...)
	}
	if err := merged.check(); err != nil {
		return nil, err
	}
	return merged, nil
}

func (r *Result) check() error {
	if len(r.Runs) == 0 {
		return errors.New("the result has no runs")
	}
	for i := range r.Runs {
		if one, other := r.Runs[0].SLO, r.Runs[i].SLO; one != other {
			return fmt.Errorf("runs with the objectives %q and %q cannot be put together: what is good differs", one, other)
		}
	}
	return nil
}

// seconds is the time in which at least one of the runs went on.
func (r *Result) seconds() float64 {
	runs := slices.Clone(r.Runs)
	slices.SortFunc(runs, func(a, b Measurement) int { return cmp.Compare(a.StartedAt.UnixNano(), b.StartedAt.UnixNano()) })
	var total float64
	var until time.Time
	for i := range runs {
		from, to := runs[i].StartedAt, runs[i].StartedAt.Add(seconds(runs[i].Seconds))
		if from.Before(until) {
			from = until
		}
		if to.After(from) {
			total += to.Sub(from).Seconds()
			until = to
		}
	}
	return total
}

// blocks are those of all runs.
func (r *Result) blocks() []*Block {
	var all []*Block
	for i := range r.Runs {
		all = append(all, r.Runs[i].Blocks...)
	}
	return all
}
