package bench

import (
	"encoding/json"
	"fmt"
	"strings"
)

// inferencePerfFile is where inference-perf writes what each request came to, if report.request_lifecycle.per_request is set.
const inferencePerfFile = "per_request_lifecycle_metrics.json"

// inferencePerfEntry is one of its requests (inference-perf 0.7). Times are seconds of a clock that counts from the machine's start, so they say how far two moments
// are apart, and not when they were.
type inferencePerfEntry struct {
	Start    float64         `json:"start_time"`
	End      float64         `json:"end_time"`
	Response json.RawMessage `json:"response"` // as it came: a text
	Info     struct {
		Metrics struct {
			Chunks []float64 `json:"chunk_times"`
		} `json:"response_metrics"`
	} `json:"info"`
	Error json.RawMessage `json:"error"`
}

// readInferencePerf reads its array. What the server says of a request stands in the last chunk of its answer, which inference-perf asks for (usage) and keeps.
func readInferencePerf(d *json.Decoder) ([]Exchange, error) {
	var entries []inferencePerfEntry
	if err := d.Decode(&entries); err != nil {
		return nil, fmt.Errorf("reading the requests of inference-perf: %w", err)
	}
	all := make([]Exchange, len(entries))
	for i := range entries {
		q := &entries[i]
		if q.Start <= 0 || q.End < q.Start {
			return nil, fmt.Errorf("request %d begins at %v and ends at %v; %s of inference-perf has both, in seconds", i+1, q.Start, q.End, inferencePerfFile)
		}
		all[i] = Exchange{Start: epochTime(q.Start), End: epochTime(q.End), Failed: len(q.Error) > 0 && string(q.Error) != "null", Unclocked: true}
		if len(q.Info.Metrics.Chunks) > 0 {
			all[i].First = epochTime(q.Info.Metrics.Chunks[0])
		}
		var answer string
		if err := json.Unmarshal(q.Response, &answer); err == nil {
			all[i].Receipt = receiptIn(answer)
		}
	}
	return all, nil
}

// receiptIn finds what the server says of a request in its answer, as it came; nil = nothing.
func receiptIn(answer string) *Receipt {
	for line := range strings.Lines(answer) {
		data, is := strings.CutPrefix(strings.TrimSpace(line), "data:")
		if !is || !strings.Contains(data, `"pilotlight"`) {
			continue
		}
		var c chunk
		if err := json.Unmarshal([]byte(data), &c); err != nil || len(c.Pilotlight) == 0 {
			continue
		}
		var r Receipt
		if r.readObject(c.Pilotlight); r.Start != "" {
			return &r
		}
	}
	return nil
}
