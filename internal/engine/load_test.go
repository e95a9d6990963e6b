package engine_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestRunning_AsEachKindTells(t *testing.T) {
	for name, row := range map[string]struct {
		kind   fleet.EngineKind
		path   string
		answer string
		want   int
	}{
		"TensorRT-LLM: the last iteration":      {fleet.EngineTRTLLM, "/metrics", `[{"iter":1,"numActiveRequests":9},{"iter":2,"numActiveRequests":2,"numQueuedRequests":1}]`, 3},
		"TensorRT-LLM: without queued ones":     {fleet.EngineTRTLLM, "/metrics", `[{"iter":7,"numActiveRequests":1}]`, 1},
		"TensorRT-LLM: counts no iterations":    {fleet.EngineTRTLLM, "/metrics", `[]`, fleet.Unasked},
		"TensorRT-LLM: may have begun with one": {fleet.EngineTRTLLM, "/metrics", `[{"iter":7,"numActiveRequests":0}]`, fleet.Unasked},
		"vLLM": {
			fleet.EngineVLLM, "/metrics", "# HELP vllm:num_requests_running Number.\n# TYPE vllm:num_requests_running gauge\n" +
				"vllm:num_requests_running{engine=\"0\",model_name=\"a b}\"} 3.0\nvllm:num_requests_running{engine=\"1\"} 1.0\n" +
				"vllm:num_requests_waiting{engine=\"0\"} 2.0\nvllm:num_requests_swapped 5\n", 6,
		},
		"vLLM, idle":                {fleet.EngineVLLM, "/metrics", "vllm:num_requests_running{engine=\"0\"} 0.0\n", 0},
		"vLLM, only who waits":      {fleet.EngineVLLM, "/metrics", "vllm:num_requests_waiting 0\n", fleet.Uncounted},
		"NIM":                       {fleet.EngineNIM, "/v1/metrics", "num_requests_running{model_name=\"m\"} 4.0 1700000000\nnum_requests_waiting 1.0\n", 5},
		"llama.cpp":                 {fleet.EngineOpenAI, "/metrics", "llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n", 3},
		"llama.cpp without metrics": {fleet.EngineOpenAI, "/other", "", fleet.Uncounted},
		"nonsense":                  {fleet.EngineVLLM, "/metrics", "vllm:num_requests_running many\n{\n \n", fleet.Uncounted},
		"nonsense for a list":       {fleet.EngineSim, "/metrics", "null and void", fleet.Uncounted},
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != row.path {
					http.NotFound(w, r)
					return
				}
				io.WriteString(w, row.answer)
			})
			if got := engine.NewLoad(row.kind, addr).Running(t.Context()); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
		})
	}
}

func TestRunning_AnEngineThatCountsIterationsIsIdleAfterAQuietWhile(t *testing.T) {
	answers := []string{`[]`, `[{"numActiveRequests":1}]`, `[]`, `[]`, `[{"numActiveRequests":2}]`, `[]`}
	asked := 0
	l := engine.NewLoad(fleet.EngineTRTLLM, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, answers[asked])
		asked++
	}))
	const quiet = 200 * time.Millisecond
	l.SetQuiet(quiet)
	for n, row := range []struct {
		after time.Duration
		want  int
	}{
		{0, -1},    // it may not count
		{quiet, 1}, // it counts, and serves
		{0, -1},    // one long iteration may be under way
		{quiet, 0},
		{0, 2},
		{0, -1}, // the quiet begins anew
	} {
		time.Sleep(row.after)
		if got := l.Running(t.Context()); got != row.want {
			t.Errorf("look %d: got %d, want %d", n+1, got, row.want)
		}
	}
}

// TestRunning_OneThatTellsOfNoIterationCountsNone: as long as it tells of none.
func TestRunning_OneThatTellsOfNoIterationCountsNone(t *testing.T) {
	answer := `[]`
	l := engine.NewLoad(fleet.EngineTRTLLM, serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
	const quiet = 50 * time.Millisecond
	l.SetQuiet(quiet)
	look := func(want int) {
		t.Helper()
		if got := l.Running(t.Context()); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	look(fleet.Unasked)
	time.Sleep(quiet)
	look(fleet.Uncounted)
	answer = `[{"numActiveRequests":1}]`
	look(1)
	answer = `[]`
	look(fleet.Unasked)
	time.Sleep(quiet)
	look(0)
}

func TestRunning_IsNotKnownOfWhoDoesNotAnswer(t *testing.T) {
	addr := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if got := engine.NewLoad(fleet.EngineVLLM, addr).Running(within(t, 50*time.Millisecond)); got != fleet.Unasked {
		t.Errorf("got %d, want %d: nobody knows whether it counts", got, fleet.Unasked)
	}
}
