package bench_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pilotlight-io/pilotlight/internal/bench"
)

func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func at(us int64) time.Time { return time.UnixMicro(1_800_000_000_000_000 + us) }

func TestReadHarness_AIPerf(t *testing.T) {
	path := written(t, "profile_export.jsonl", `{"metadata":{"x_request_id":"warm","request_start_ns":1800000000000000000,"request_end_ns":1800000000100000000,"benchmark_phase":"warmup"},"metrics":{}}
{"metadata":{"x_request_id":"b","request_start_ns":1800000001000000000,"request_end_ns":1800000001100000000,"benchmark_phase":"profiling","was_cancelled":false},"metrics":{"time_to_first_token":{"value":16.5,"unit":"ms"}},"error":null}
{"metadata":{"x_request_id":"a","request_start_ns":1800000000500000000,"request_end_ns":1800000000600000000,"benchmark_phase":"profiling"},"metrics":{},"error":{"code":503,"message":"m"}}
`)
	for _, given := range []string{path, filepath.Dir(path)} {
		harness, got, err := bench.ReadHarness(given)
		want := []bench.Exchange{{ID: "a", Start: at(500_000), End: at(600_000), Failed: true}, {ID: "b", Start: at(1_000_000), First: at(1_016_500), End: at(1_100_000)}}
		if diff := cmp.Diff(want, got); err != nil || harness != bench.HarnessAIPerf || diff != "" {
			t.Errorf("%s: got %s, %v\n%s", given, harness, err, diff)
		}
	}
}

func TestReadHarness_GuideLLM(t *testing.T) {
	_, got, err := bench.ReadHarness(written(t, "g.json", `{"metadata":{"version":1},"benchmarks":[{"requests":{
		"successful":[{"request_id":"u","info":{"timings":{"request_start":1800000002.25,"first_token_iteration":1800000002.5,"request_end":1800000003}}}],
		"errored":[{"info":{"timings":{"request_start":1800000001.0,"first_token_iteration":null,"request_end":1800000001.5}}}],
		"incomplete":[{"info":{"timings":{"request_start":null}}}],"total":null}}]}`))
	want := []bench.Exchange{{Start: at(1_000_000), End: at(1_500_000), Failed: true}, {Start: at(2_250_000), First: at(2_500_000), End: at(3_000_000)}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v\n%s", err, diff)
	}
}

// inference-perf keeps each answer as it came, the chunk behind its usage included; its clock is the machine's own.
func TestReadHarness_InferencePerf(t *testing.T) {
	path := written(t, "per_request_lifecycle_metrics.json", `[
		{"start_time":100.5,"end_time":101,"response":"data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[],\"usage\":{},\"pilotlight\":{\"start\":\"cold\",\"queue_us\":3,\"activate_us\":400000,\"billed_us\":70,\"cost_usd\":\"0.000000161\"}}\n\ndata: [DONE]\n\n",
		 "info":{"response_metrics":{"chunk_times":[100.9,100.95]}},"error":null},
		{"start_time":100.25,"end_time":100.5,"response":null,"info":null,"error":{"error_type":"ClientResponseError","error_msg":"503"}}]`)
	for _, given := range []string{path, filepath.Dir(path)} {
		harness, got, err := bench.ReadHarness(given)
		want := []bench.Exchange{
			{Start: time.UnixMicro(100_250_000), End: time.UnixMicro(100_500_000), Failed: true, Unclocked: true},
			{
				Start: time.UnixMicro(100_500_000), First: time.UnixMicro(100_900_000), End: time.UnixMicro(101_000_000), Unclocked: true,
				Receipt: &bench.Receipt{Start: "cold", QueueUS: 3, ActivateUS: 400_000, BilledUS: 70, Cost: 161, Priced: true},
			},
		}
		if diff := cmp.Diff(want, got); err != nil || harness != bench.HarnessInferencePerf || diff != "" {
			t.Errorf("%s: got %s, %v\n%s", given, harness, err, diff)
		}
		rows := bench.SplitByStart(bench.MatchByAnswer(got))
		if len(rows) != 3 || rows[0].Start != "cold" || rows[0].BilledUS != 70 || rows[0].ModelTTFT.Count != 1 || rows[0].ModelTTFT.Max > 0.01 || rows[1].Failed != 1 {
			t.Errorf("got %+v, want one cold answer whose first token was held back until then, and one that has failed", rows)
		}
	}
}

func TestReadHarness_GenAIPerf(t *testing.T) {
	const stream = `"request_inputs":{"payload":"{\"stream\":true}"}`
	path := written(t, "profile_export.json", `{"experiments":[{"experiment":{"mode":"concurrency","value":2},"requests":[
		{"timestamp":1800000000000000000,`+stream+`,"response_timestamps":[1800000000100000000,1800000000200000000,1800000000300000000],"response_outputs":[
			{"response":"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n"},{"response":"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"},{"response":"data: [DONE]\n\n"}]},
		{"timestamp":1800000001000000000,`+stream+`,"response_timestamps":[1800000001100000000],"response_outputs":[{"response":"data: {\"error\":{}}\n\n"}]},
		{"timestamp":1800000002000000000,"request_inputs":{"payload":"{}"},"response_timestamps":[],"response_outputs":[]}]}],"version":"","service_kind":"openai","endpoint":"v1/chat/completions"}`)
	for _, given := range []string{path, filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		harness, got, err := bench.ReadHarness(given)
		want := []bench.Exchange{
			{Start: at(0), First: at(200_000), End: at(300_000)},
			{Start: at(1_000_000), End: at(1_100_000), Failed: true},
			{Start: at(2_000_000), Failed: true},
		}
		if diff := cmp.Diff(want, got); err != nil || harness != bench.HarnessGenAIPerf || diff != "" {
			t.Errorf("%s: got %s, %v\n%s", given, harness, err, diff)
		}
	}
}

func TestReadHarness_SaysWhatItTakes(t *testing.T) {
	for _, text := range []string{"", "{}", `{"metadata":{}} nonsense`, "a,b\n1,2\n", "[{}]", `[{"start_time":3,"end_time":2}]`} {
		if _, _, err := bench.ReadHarness(written(t, "x", text)); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}

// Two that began together are told apart by who was first, whatever the order that they are given in; what is too far away belongs to nobody. The server's clock
// may be ahead by more than an answer lasts.
func TestMatchByTime_GivesEachReceiptOnce(t *testing.T) {
	exchanges := []bench.Exchange{
		{ID: "early", Start: at(0), End: at(900_000)},
		{ID: "late", Start: at(10_000), End: at(900_000)},
		{ID: "short", Start: at(3_000_000), End: at(3_001_000)},
		{ID: "far", Start: at(9_000_000)},
	}
	receipts := []bench.Receipt{
		{RequestID: "r-far", ReceivedAt: at(9_300_000)},
		{RequestID: "r-short", ReceivedAt: at(3_002_000)},
		{RequestID: "r-late", ReceivedAt: at(11_000)},
		{RequestID: "r-early", ReceivedAt: at(7_000)},
	}
	got := map[string]string{}
	for _, j := range bench.MatchByTime(exchanges, receipts, 250*ms) {
		got[j.ID] = ""
		if j.Receipt != nil {
			got[j.ID] = j.Receipt.RequestID
		}
	}
	if diff := cmp.Diff(map[string]string{"early": "r-early", "late": "r-late", "short": "r-short", "far": ""}, got); diff != "" {
		t.Error(diff)
	}
}

// A busy harness begins its next request before the server has received the last: as many records as requests are theirs in order, however near another's may be.
func TestMatchByTime_KeepsOrderUnderLoad(t *testing.T) {
	const count, way, lasts = 50, 5_000, 8_000 // µs
	var exchanges []bench.Exchange
	var receipts []bench.Receipt
	for i := range int64(count) {
		exchanges = append(exchanges, bench.Exchange{ID: fmt.Sprint(i), Start: at(i * 1_000), End: at(i*1_000 + lasts)})
		receipts = append(receipts, bench.Receipt{RequestID: fmt.Sprint(i), ReceivedAt: at(i*1_000 + way)})
	}
	for _, j := range bench.MatchByTime(exchanges, receipts, 250*ms) {
		if j.Receipt == nil || j.Receipt.RequestID != j.ID {
			t.Errorf("%s: got %+v, want its own record", j.ID, j.Receipt)
		}
	}
}

// Whatever began when, as many get a record as can, and of such matches the nearest is taken.
func TestMatchByTime_IsTheBest(t *testing.T) {
	const slack = 5 * time.Microsecond
	rapid.Check(t, func(t *rapid.T) {
		var exchanges []bench.Exchange
		for _, us := range rapid.SliceOfN(rapid.Int64Range(0, 20), 0, 5).Draw(t, "starts") {
			exchanges = append(exchanges, bench.Exchange{Start: at(us)})
		}
		var receipts []bench.Receipt
		for _, us := range rapid.SliceOfN(rapid.Int64Range(0, 20), 0, 6).Draw(t, "received") {
			receipts = append(receipts, bench.Receipt{RequestID: fmt.Sprint(len(receipts)), ReceivedAt: at(us)})
		}
		var matched int
		var apart time.Duration
		given := map[string]bool{}
		for i, j := range bench.MatchByTime(exchanges, receipts, slack) {
			if !j.Start.Equal(exchanges[i].Start) {
				t.Fatalf("exchange %d is not in its place", i)
			}
			if j.Receipt == nil {
				continue
			}
			matched++
			off := j.Receipt.ReceivedAt.Sub(j.Start).Abs()
			apart += off
			if given[j.Receipt.RequestID] || off > slack {
				t.Fatalf("a receipt was given twice, or to one %v away", off)
			}
			given[j.Receipt.RequestID] = true
		}
		if wantMatched, wantApart := bestMatch(exchanges, receipts, slack); matched != wantMatched || apart != wantApart {
			t.Fatalf("got %d matched, %v apart in all, want %d and %v", matched, apart, wantMatched, wantApart)
		}
	})
}

// bestMatch tries each way to give receipts to exchanges: the most that can be matched, and how far apart they are at the least, added up.
func bestMatch(exchanges []bench.Exchange, receipts []bench.Receipt, slack time.Duration) (matched int, apart time.Duration) {
	if len(exchanges) == 0 {
		return 0, 0
	}
	matched, apart = bestMatch(exchanges[1:], receipts, slack)
	for k := range receipts {
		off := receipts[k].ReceivedAt.Sub(exchanges[0].Start).Abs()
		if off > slack {
			continue
		}
		rest, more := bestMatch(exchanges[1:], slices.Delete(slices.Clone(receipts), k, k+1), slack)
		if rest+1 > matched || rest+1 == matched && more+off < apart {
			matched, apart = rest+1, more+off
		}
	}
	return matched, apart
}

func TestSplitByStart_TellsWaitFromModel(t *testing.T) {
	joined := []bench.Joined{
		{bench.Exchange{Start: at(0), First: at(25_050_000), End: at(26_000_000)}, &bench.Receipt{Start: "cold", QueueUS: 1_000, ActivateUS: 24_999_000, BilledUS: 7, Cost: 9}},
		{bench.Exchange{Start: at(0), First: at(50_000), End: at(60_000)}, &bench.Receipt{Start: "hot", BilledUS: 1, Cost: 2}},
		{bench.Exchange{Start: at(0), End: at(1), Failed: true}, nil},
	}
	rows := bench.SplitByStart(joined)
	var starts []string
	for _, r := range rows {
		starts = append(starts, r.Start)
	}
	if diff := cmp.Diff([]string{"hot", "cold", "", "total"}, starts); diff != "" {
		t.Fatal(diff)
	}
	cold, total := rows[1], rows[3]
	if cold.TTFT.P50 < 25_000 || cold.Held.P50 < 24_900 || cold.ModelTTFT.P50 > 51 || cold.BilledUS != 7 || cold.Cost != 9 {
		t.Errorf("cold: got %+v", cold)
	}
	if total.Requests != 3 || total.Failed != 1 || total.BilledUS != 8 || total.Cost != 11 || total.ModelTTFT.Max > 51 {
		t.Errorf("total: got %+v", total)
	}
}
