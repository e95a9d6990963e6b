package trace

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Profile is what a trace says of one model.
type Profile struct {
	Model          string
	GPUs           int         // per instance: 1, 2, 4 or 8
	Weights        fleet.Bytes // on disk
	ParkedRAM      fleet.Bytes // host memory of a parked engine
	Cold           time.Duration
	Wake           time.Duration // parked to serving
	Park           time.Duration // serving to parked; the GPUs are held
	Stop           time.Duration
	Prefill        float64       // input tokens per second
	TokenTime      time.Duration // one output token, at batch 1
	MaxConcurrency int
	Class          string // hot, diurnal, bursty or sparse: for analysis only, no policy sees it
}

// ProfilesBeside gives the path of the file with the models of a trace: T_models.csv for T.csv.gz.
func ProfilesBeside(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".csv") + "_models.csv"
}

// ReadProfiles reads a file of models, in its order.
func ReadProfiles(path string) ([]Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the trace's models: %w", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s:1: no header line: %w", path, err)
	}
	columns := make(map[string]int)
	for i, name := range header {
		columns[name] = i
	}
	row := profileRow{columns: columns}
	for _, name := range profileColumns {
		if _, ok := columns[name]; !ok {
			return nil, fmt.Errorf("%s:1: no column %q; the header must name %s", path, name, strings.Join(profileColumns, ", "))
		}
	}
	var profiles []Profile
	seen := make(map[string]bool)
	for {
		row.fields, err = r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		line, _ := r.FieldPos(0)
		p, err := row.profile()
		if err == nil && seen[p.Model] {
			err = fmt.Errorf("model %q is listed twice; list it once", p.Model)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		seen[p.Model] = true
		profiles = append(profiles, p)
	}
	if len(profiles) == 0 {
		return nil, fmt.Errorf("%s: no models; write one line each under the header", path)
	}
	return profiles, nil
}

var profileColumns = []string{
	"model", "gpus", "weights_gb", "parked_ram_gb", "cold_s", "wake_s", "park_s", "stop_s", "prefill_tok_s", "tpot_ms", "max_concurrency",
}

// profileRow takes numbers out of one line, and keeps the first mistake.
type profileRow struct {
	columns map[string]int
	fields  []string
	err     error
}

func (r *profileRow) profile() (Profile, error) {
	r.err = nil
	p := Profile{
		Model: r.text("model"), GPUs: int(r.number("gpus")), Weights: r.gigabytes("weights_gb"), ParkedRAM: r.gigabytes("parked_ram_gb"),
		Cold: r.seconds("cold_s"), Wake: r.seconds("wake_s"), Park: r.seconds("park_s"), Stop: r.seconds("stop_s"),
		Prefill: r.number("prefill_tok_s"), TokenTime: time.Duration(r.number("tpot_ms") * float64(time.Millisecond)),
		MaxConcurrency: int(r.number("max_concurrency")),
	}
	if i, ok := r.columns["class"]; ok {
		p.Class = r.fields[i]
	}
	switch {
	case r.err != nil:
	case p.Model == "":
		r.err = errors.New("no model name; write one")
	case p.GPUs != 1 && p.GPUs != 2 && p.GPUs != 4 && p.GPUs != 8:
		r.err = fmt.Errorf("gpus %s; a model has 1, 2, 4 or 8", r.text("gpus"))
	case p.Prefill <= 0 || p.MaxConcurrency < 1:
		r.err = errors.New("prefill_tok_s and max_concurrency must be above zero")
	}
	return p, r.err
}

func (r *profileRow) text(column string) string { return r.fields[r.columns[column]] }

func (r *profileRow) number(column string) float64 {
	v, err := strconv.ParseFloat(r.text(column), 64)
	if (err != nil || v < 0 || math.IsNaN(v) || v > 1e9) && r.err == nil {
		r.err = fmt.Errorf("%s %q; write a number that is not negative", column, r.text(column))
	}
	return v
}

func (r *profileRow) seconds(column string) time.Duration {
	return time.Duration(r.number(column) * float64(time.Second))
}

func (r *profileRow) gigabytes(column string) fleet.Bytes { return fleet.Bytes(r.number(column) * 1e9) }
