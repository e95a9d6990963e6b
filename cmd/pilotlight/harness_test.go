package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/bench"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// A harness is one of others', run as its section of docs/harnesses.md says.
type harness struct {
	name    string // of its environment among the stock clients, and of the program
	shorter *strings.Replacer
	out     string // what it writes
	sent    int    // requests
}

var harnesses = []harness{
	{"aiperf", strings.NewReplacer("--concurrency 8 --request-count 200 --isl 500 --osl 100", "--concurrency 2 --request-count 12 --isl 20 --osl 16"), "run1", 12},
	{"guidellm", strings.NewReplacer("max_requests,count=200", "max_requests,count=12", "prompt_tokens=500,output_tokens=100", "prompt_tokens=20,output_tokens=16"), "benchmarks.json", 12},
	{"k6", strings.NewReplacer("--iterations 200", "--iterations 12"), "points.json", 12},
	{"pilotlight", strings.NewReplacer("--for 1m", "--for 1s", "--requests 1000", "--requests 40", "--for 10m", "--for 10m --speed 300", "--runs 5", "--runs 1"), "", 0},
}

// TestHarnesses runs the commands of docs/harnesses.md: harnesses of others, as they are, and ours, against a model that is cold. What others have written is
// joined with the receipts: what they took for the model's first token is told from the start, and what was billed is what the ledger has. What k6 has counted is
// held against the ledger itself.
func TestHarnesses(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other harnesses, of which each takes half a minute; not in short runs")
	}
	names := make([]string, len(harnesses))
	for i, h := range harnesses {
		names[i] = h.name
	}
	s := startDev(t, t.TempDir(), "--config", writeConfig(t, "backend \"local\" {\n  gpus = 8\n  host_memory = \"1.5TiB\"\n}\n"+simModels("", names...)))
	blocks := map[string]string{} // program -> its block
	for _, b := range blocksOf(t, harnessesPage) {
		if b.lang != "sh" || b.mark == "syntax only" {
			continue
		}
		i := slices.IndexFunc(names, func(name string) bool {
			return strings.Contains("\n"+b.text, "\n"+name+" ") || strings.Contains(b.text, " "+name+" run ")
		})
		if i < 0 || blocks[names[i]] != "" {
			t.Errorf("%s:%d: no harness is known for this block, or it has another", harnessesPage, b.line)
			continue
		}
		blocks[names[i]] = b.text
	}
	for _, h := range harnesses {
		t.Run(h.name, func(t *testing.T) {
			block := h.shorter.Replace(blocks[h.name])
			if blocks[h.name] == "" || block == blocks[h.name] {
				t.Fatalf("%s has no block for %s, or one of other sizes than are made smaller here:\n%s", harnessesPage, h.name, block)
			}
			dir := s.runHarnessBlock(t, h, block)
			switch {
			case h.sent == 0:
				return
			case h.name == "k6":
				checkK6(t, s, h, filepath.Join(dir, h.out))
				return
			}
			var rows []bench.JoinRow
			text := s.bench(t, "join", filepath.Join(dir, h.out), "--model", h.name, "--json")
			if err := json.Unmarshal(text, &rows); err != nil {
				t.Fatal(err)
			}
			checkJoin(t, s, h, rows)
		})
	}
}

const harnessesPage = "../../docs/harnesses.md"

// runHarnessBlock runs a block of the page as its reader does, and gives the folder that it has run in. It skips where the harness is not installed.
func (s *devServer) runHarnessBlock(t *testing.T, h harness, block string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	bin := filepath.Join(t.TempDir(), "bin")
	switch h.name {
	case "pilotlight":
	case "k6":
		needK6(t)
		write(t, filepath.Join(dir, "load.js"), scriptOf(t))
	default:
		interpreter(t, h.name, h.name) // is it there, as pinned?
		bin += ":" + filepath.Join(os.Getenv("PILOTLIGHT_CLIENTS"), h.name, "bin")
	}
	first, _, _ := strings.Cut(bin, ":")
	write(t, filepath.Join(first, "pilotlight"), fmt.Sprintf("#!/bin/sh\n%s=1 exec %s \"$@\"\n", asProgram, mustAbs(t, os.Args[0])))
	for link, to := range map[string]string{"tokenizer": writeTokenizer(t), "benchmarks": mustAbs(t, "../../benchmarks")} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	admin, err := readSecret(filepath.Join(s.DataDir, adminTokenFile))
	if err != nil {
		t.Fatal(err)
	}
	base := strings.TrimSuffix(s.API, "/v1")
	shell := exec.CommandContext(t.Context(), "bash", "-euc", strings.ReplaceAll(block, "http://127.0.0.1:8080", base))
	shell.Dir = dir
	shell.Env = append(os.Environ(), "HOME="+t.TempDir(), "PATH="+bin+":"+os.Getenv("PATH"), "BASE="+base, "MODEL="+h.name, "PILOTLIGHT_TOKEN="+s.Token,
		"PILOTLIGHT_API="+s.API, addrVariable+"="+s.Admin, adminTokenVariable+"="+admin, "K6_OUT=json="+h.out)
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", h.name, err, out)
	}
	return dir
}

// needK6 skips where the k6 that the page was tried with is not installed. That is so where all else that is optional is required: it is under the AGPL.
func needK6(t *testing.T) {
	t.Helper()
	const version = "v1.8.1"
	out, err := exec.CommandContext(t.Context(), "k6", "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "k6 "+version+" ") {
		t.Skipf("no k6 %s: go install go.k6.io/k6@%s (%v)", version, version, err)
	}
}

// scriptOf gives the script of k6's section.
func scriptOf(t *testing.T) string {
	t.Helper()
	blocks := blocksOf(t, harnessesPage)
	i := slices.IndexFunc(blocks, func(b block) bool { return b.lang == "js" })
	if i < 0 {
		t.Fatalf("%s has no script", harnessesPage)
	}
	return blocks[i].text
}

// checkK6 holds what k6 has counted, with the tag that the script gives it, against the ledger's own records of the model.
func checkK6(t *testing.T, s *devServer, h harness, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[string]int{}, map[string]int{} // metric and start -> requests
	var held, wantHeld float64                      // ms, of all
	for line := range strings.Lines(string(text)) {
		var p struct {
			Type, Metric string
			Data         struct {
				Value float64
				Tags  struct{ Start string }
			}
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if p.Type != "Point" || !strings.HasPrefix(p.Metric, "pilotlight_") {
			continue
		}
		got[p.Metric+" "+p.Data.Tags.Start]++
		switch {
		case p.Metric != "pilotlight_model":
			held += p.Data.Value
		case p.Data.Value <= 0 || p.Data.Value > 1000:
			t.Errorf("%s: the model took %v ms of an answer, want what is left without the wait", p.Data.Tags.Start, p.Data.Value)
		}
	}
	for _, r := range s.records(t) {
		if r.Model == h.name {
			for _, part := range []string{"queue", "activate", "model"} {
				want["pilotlight_"+part+" "+string(r.Start)]++
			}
			wantHeld += (r.Queue + r.Activate).Seconds() * 1000
		}
	}
	if !maps.Equal(got, want) || got["pilotlight_model cold"] == 0 || math.Abs(held-wantHeld) > 1 || held < 100 {
		t.Errorf("got %v, held for %.3f ms; want %v, held for %.3f, of %d requests, the first cold", got, held, want, wantHeld, h.sent)
	}
}

// checkJoin holds rows of bench join against the ledger's own records of the model that the harness has asked for.
func checkJoin(t *testing.T, s *devServer, h harness, rows []bench.JoinRow) {
	t.Helper()
	type sum struct {
		requests int
		billed   int64
		cost     fleet.NanoUSD
	}
	got, want := map[string]sum{}, map[string]sum{}
	page, err := s.admin(t).Records(t.Context(), devOrg, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range page.Records {
		if r := &page.Records[i]; r.Model == h.name {
			for _, key := range []string{string(r.Start), "total"} {
				w := want[key]
				want[key] = sum{w.requests + 1, w.billed + r.Billed.Microseconds(), w.cost + r.Cost}
			}
		}
	}
	for _, r := range rows {
		got[r.Start] = sum{r.Requests, r.BilledUS, r.Cost}
		if r.Failed > 0 {
			t.Errorf("%s: %d have failed", r.Start, r.Failed)
		}
		if r.Start == "cold" && (r.Held.P50 < 100 || r.TTFT.P50 < r.Held.P50*0.99 || r.ModelTTFT.P50 > r.TTFT.P50/2) {
			t.Errorf("cold: got a first token after %v ms, of which %v held and %v the model's; want most of it held", r.TTFT.P50, r.Held.P50, r.ModelTTFT.P50)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || got["total"].requests != h.sent || got["cold"].requests == 0 {
		t.Errorf("got %v, want %v of %d requests, the first cold", got, want, h.sent)
	}
}

// bench runs one of our own bench commands as the dev token, and gives its stdout.
func (s *devServer) bench(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"bench"}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "PILOTLIGHT_API="+s.API, "PILOTLIGHT_TOKEN="+s.Token, addrVariable+"="+s.Admin)
	token, err := readSecret(filepath.Join(s.DataDir, adminTokenFile))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, adminTokenVariable+"="+token)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("bench %v: %v\n%s", args, err, out)
	}
	return out
}

// runHarness runs another harness. It skips where that is not installed.
func runHarness(t *testing.T, name string, args ...string) {
	t.Helper()
	interpreter(t, name, name) // is it there, as pinned?
	cmd := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("PILOTLIGHT_CLIENTS"), name, "bin", name), args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if name == "guidellm" {
		cmd.Env = append(cmd.Env, "HF_HUB_OFFLINE=1") // aiperf, told so, takes the tokenizer's path for a name on a hub
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// writeTokenizer makes a tokenizer that knows a few words: harnesses make prompts of its vocabulary.
func writeTokenizer(t *testing.T) string {
	t.Helper()
	vocabulary := map[string]int{"<unk>": 0}
	for i, word := range strings.Fields("about above across after along around away before below beside between bridge bright bring brown build carry clear cloud coast") {
		vocabulary[word] = i + 1
	}
	special := map[string]any{"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
	dir := t.TempDir()
	for name, content := range map[string]any{
		"tokenizer.json": map[string]any{
			"version": "1.0", "added_tokens": []any{special}, "pre_tokenizer": map[string]string{"type": "Whitespace"},
			"model": map[string]any{"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
		},
		"tokenizer_config.json": map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", "model_max_length": 100_000},
	} {
		text, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// paced is what pacedServer takes, in ms.
var paced = map[string]float64{bench.MetricTTFT: 600, bench.MetricInterToken: 25, bench.MetricE2E: 600 + 19*25}

// pacedServer answers each chat with 20 tokens, the first after 600 ms and then one each 25 ms.
func pacedServer(t *testing.T) string {
	const tokens, first, gap = 20, 600 * time.Millisecond, 25 * time.Millisecond
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		due := time.Now().Add(first)
		for i := range tokens {
			time.Sleep(time.Until(due.Add(time.Duration(i) * gap)))
			fmt.Fprintf(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"w%d "}}]}`+"\n\n", i)
			w.(http.Flusher).Flush()
		}
		fmt.Fprintf(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":%d,"total_tokens":%d}}`+"\n\ndata: [DONE]\n\n", tokens, 9+tokens)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestBench_AgreesWithAIPerf measures one server with NVIDIA's harness and with ours, one after the other. A machine that was busy during only one of the two makes them
// differ: they are held against each other again then, some times.
func TestBench_AgreesWithAIPerf(t *testing.T) {
	if testing.Short() {
		t.Skip("runs aiperf, which takes half a minute; not in short runs")
	}
	const turns = 4
	url := pacedServer(t)
	for turn := 1; ; turn++ {
		apart, busy := apartFromAIPerf(t, url)
		if len(apart) == 0 {
			return
		}
		if turn == turns && busy {
			t.Skipf("aiperf itself is more than 3 %% off the server's pace, so this machine is too busy to compare: %s", strings.Join(apart, "; "))
		}
		if turn == turns {
			t.Fatalf("more than 3 %% apart, %d times in a row; the last time: %s", turns, strings.Join(apart, "; "))
		}
		t.Logf("turn %d: %s", turn, strings.Join(apart, "; "))
	}
}

// apartFromAIPerf measures with both, and tells the figures that are more than 3 % apart, and whether aiperf's are as far from the server's own pace.
func apartFromAIPerf(t *testing.T, url string) (apart []string, busy bool) {
	t.Helper()
	const requests, atOnce = "48", "8"
	out := t.TempDir()
	runHarness(t, "aiperf", "profile", "-m", "m", "--url", url, "--endpoint-type", "chat", "--streaming", "--tokenizer", writeTokenizer(t), "--concurrency", atOnce,
		"--request-count", requests, "--isl", "20", "--osl", "20", "--use-server-token-count", "--output-artifact-dir", out, "--ui", "none")
	text, err := os.ReadFile(filepath.Join(out, "profile_export_aiperf.json"))
	if err != nil {
		t.Fatal(err)
	}
	var theirs map[string]json.RawMessage
	if err := json.Unmarshal(text, &theirs); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "bench", "load", "--url", url+"/v1", "--model", "m", "--concurrency", atOnce, "--requests", requests, "--json")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	if text, err = cmd.Output(); err != nil {
		t.Fatal(err)
	}
	var ours bench.Summary
	if err := json.Unmarshal(text, &ours); err != nil {
		t.Fatal(err)
	}
	for metric, name := range map[string]string{bench.MetricTTFT: "time_to_first_token", bench.MetricInterToken: "inter_token_latency", bench.MetricE2E: "request_latency"} {
		var their struct{ Avg, P50 float64 }
		if err := json.Unmarshal(theirs[name], &their); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		our := ours.Latency[metric]
		t.Logf("%s: ours %.3f ms mean, %.3f p50; aiperf's %.3f and %.3f", metric, our.Mean, our.P50, their.Avg, their.P50)
		for _, pair := range [][2]float64{{our.Mean, their.Avg}, {our.P50, their.P50}} {
			if math.Abs(pair[0]/pair[1]-1) > 0.03 {
				apart = append(apart, fmt.Sprintf("%s: %v ms, aiperf %v", metric, pair[0], pair[1]))
				busy = busy || math.Abs(pair[1]/paced[metric]-1) > 0.03
			}
		}
	}
	if ours.Requests != 48 || ours.OutputTokens != 48*20 {
		t.Errorf("got %d requests and %d tokens, want 48 and 960", ours.Requests, ours.OutputTokens)
	}
	return apart, busy
}
