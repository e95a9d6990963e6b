package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Exchange is one request as another harness has written it down. Moments that it does not tell are zero.
type Exchange struct {
	ID     string // the X-Request-Id that it sent; "" = it sends none, or does not tell
	Start  time.Time
	First  time.Time // its first token
	End    time.Time
	Failed bool

	Receipt   *Receipt // that the harness has kept with the answer; nil = none
	Unclocked bool     // its moments are of a clock that no other machine knows
}

// The harnesses whose output ReadHarness knows.
const (
	HarnessAIPerf        = "aiperf"
	HarnessGuideLLM      = "guidellm"
	HarnessInferencePerf = "inference-perf"
	HarnessGenAIPerf     = "genai-perf"
)

// ReadHarness reads what another harness has written: the records of NVIDIA's aiperf (profile_export.jsonl), the report of guidellm (JSON), the requests of
// inference-perf (per_request_lifecycle_metrics.json), or the export of genai-perf (profile_export.json); of all but guidellm the folder will do. Exchanges are in order of their start.
func ReadHarness(path string) (harness string, exchanges []Exchange, err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = inFolder(path)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("%s does not exist; give the profile_export.jsonl of aiperf, the per_request_lifecycle_metrics.json of inference-perf or the profile_export.json of genai-perf, the folder that it is in, or the JSON report of guidellm", path)
	}
	if err != nil {
		return "", nil, fmt.Errorf("opening a harness's output: %w", err)
	}
	defer f.Close()
	harness, exchanges, err = readHarness(f)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", path, err)
	}
	slices.SortFunc(exchanges, func(a, b Exchange) int { return a.Start.Compare(b.Start) })
	return harness, exchanges, nil
}

var errNoHarness = errors.New("it is neither the records of aiperf (profile_export.jsonl), nor the JSON report of guidellm, nor the requests of inference-perf (" + inferencePerfFile + "), nor the export of genai-perf (profile_export.json)")

func readHarness(r io.Reader) (string, []Exchange, error) {
	text := bufio.NewReaderSize(r, 1<<20)
	d := json.NewDecoder(text)
	if begin, _ := text.Peek(1); len(begin) == 1 && begin[0] == '[' { // an array; the others are objects
		exchanges, err := readInferencePerf(d)
		return HarnessInferencePerf, exchanges, err
	}
	var first struct {
		aiperfRecord
		guidellmReport
		genaiPerfExport
	}
	if err := d.Decode(&first); err != nil {
		return "", nil, errNoHarness
	}
	switch {
	case first.Benchmarks != nil: // first: it has metadata, too
		return HarnessGuideLLM, first.guidellmReport.exchanges(), nil
	case first.Experiments != nil:
		return HarnessGenAIPerf, first.genaiPerfExport.exchanges(), nil
	case first.Metadata != nil:
		exchanges, err := readAIPerf(d, first.aiperfRecord)
		return HarnessAIPerf, exchanges, err
	}
	return "", nil, errNoHarness
}

// aiperfRecord is a line of profile_export.jsonl (aiperf 0.13).
type aiperfRecord struct {
	Metadata *struct {
		RequestID string `json:"x_request_id"`
		StartNS   int64  `json:"request_start_ns"`
		EndNS     int64  `json:"request_end_ns"`
		Phase     string `json:"benchmark_phase"`
		Cancelled bool   `json:"was_cancelled"`
	} `json:"metadata"`
	Metrics struct {
		TTFT *struct {
			Value float64 `json:"value"` // ms
		} `json:"time_to_first_token"`
	} `json:"metrics"`
	Error json.RawMessage `json:"error"`
}

func readAIPerf(d *json.Decoder, r aiperfRecord) ([]Exchange, error) {
	var all []Exchange
	for line := 1; ; line++ {
		if r.Metadata == nil {
			return nil, fmt.Errorf("line %d has no metadata", line)
		}
		if m := r.Metadata; m.Phase == "" || m.Phase == "profiling" { // requests to warm up are not in aiperf's own figures
			e := Exchange{ID: m.RequestID, Start: time.Unix(0, m.StartNS), End: time.Unix(0, m.EndNS), Failed: m.Cancelled || len(r.Error) > 0 && string(r.Error) != "null"}
			if r.Metrics.TTFT != nil {
				e.First = e.Start.Add(time.Duration(r.Metrics.TTFT.Value * 1e6))
			}
			all = append(all, e)
		}
		r = aiperfRecord{}
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("line %d: %w", line+1, err)
		}
	}
}

// guidellmReport is a report of guidellm run --output kind=json (guidellm 0.8). Times are seconds since 1970.
type guidellmReport struct {
	Benchmarks []struct {
		Requests map[string][]struct {
			Info struct {
				Timings struct {
					Start float64 `json:"request_start"`
					First float64 `json:"first_token_iteration"`
					End   float64 `json:"request_end"`
				} `json:"timings"`
			} `json:"info"`
		} `json:"requests"`
	} `json:"benchmarks"`
}

func (r *guidellmReport) exchanges() []Exchange {
	var all []Exchange
	for _, b := range r.Benchmarks {
		for outcome, requests := range b.Requests {
			if outcome == "total" { // the same again
				continue
			}
			for _, q := range requests {
				t := q.Info.Timings
				if t.Start > 0 { // else it was never sent
					all = append(all, Exchange{Start: epochTime(t.Start), First: epochTime(t.First), End: epochTime(t.End), Failed: outcome != "successful"})
				}
			}
		}
	}
	return all
}

// epochTime makes a time of seconds since 1970, to the microsecond that a float64 of them holds; 0 = none.
func epochTime(s float64) time.Time {
	if s <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(s*1e6 + 0.5))
}
