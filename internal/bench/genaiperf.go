package bench

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// genaiPerfExport is what perf_analyzer writes for genai-perf: profile_export.json (genai-perf 0.0.16, perf_analyzer 2.60). Times are nanoseconds since 1970.
type genaiPerfExport struct {
	Experiments []struct {
		Requests []struct {
			Timestamp int64 `json:"timestamp"`
			Inputs    struct {
				Payload string `json:"payload"`
			} `json:"request_inputs"`
			Times   []int64 `json:"response_timestamps"`
			Outputs []struct {
				Response string `json:"response"` // what one read has brought, as it came
			} `json:"response_outputs"`
		} `json:"requests"`
	} `json:"experiments"`
}

func (e *genaiPerfExport) exchanges() []Exchange {
	var all []Exchange
	for _, x := range e.Experiments {
		for i := range x.Requests {
			q := &x.Requests[i]
			made := Exchange{Start: time.Unix(0, q.Timestamp), Failed: len(q.Outputs) == 0}
			var answer strings.Builder
			for k := range min(len(q.Times), len(q.Outputs)) {
				made.End = time.Unix(0, q.Times[k])
				answer.WriteString(q.Outputs[k].Response)
				if made.First.IsZero() && holdsToken(q.Outputs[k].Response) {
					made.First = made.End
				}
			}
			var asked struct{ Stream bool }
			if json.Unmarshal([]byte(q.Inputs.Payload), &asked) == nil && asked.Stream {
				made.Failed = !strings.Contains(answer.String(), strings.TrimSpace(string(openai.Done))) // a stream without its end was cut short, or never was one
			}
			made.Receipt = receiptIn(answer.String())
			all = append(all, made)
		}
	}
	return all
}

// holdsToken reports whether a part of a stream carries something that a model has generated.
func holdsToken(part string) bool {
	for line := range strings.Lines(part) {
		var c chunk
		if data, is := strings.CutPrefix(strings.TrimSpace(line), "data:"); is && json.Unmarshal([]byte(data), &c) == nil && c.generated() {
			return true
		}
	}
	return false
}

// harnessFiles are those that the harnesses write into a folder, or into folders in it.
var harnessFiles = []string{inferencePerfFile, "profile_export.jsonl", "profile_export.json", "*/profile_export.json"}

// inFolder finds a harness's file in a folder; without one, it is the first harness's.
func inFolder(folder string) string {
	for _, name := range harnessFiles {
		if found, err := filepath.Glob(filepath.Join(folder, name)); err == nil && len(found) == 1 {
			return found[0]
		}
	}
	return filepath.Join(folder, harnessFiles[1])
}
