package trace_test

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/trace"
)

const (
	modelsHead = "model,gpus,weights_gb,parked_ram_gb,cold_s,wake_s,park_s,stop_s,prefill_tok_s,tpot_ms,max_concurrency,class,requests,source\n"
	small      = "small,1,16,26,60.0,1.5,1.5,2.0,25000,8.0,64,sparse,1,x\n"
	traceHead  = "t_ms,model,input_tokens,output_tokens\n"
)

// write puts a trace and its models into a directory of the test and gives the trace's path.
func write(t *testing.T, models, requests string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.csv.gz")
	if err := os.WriteFile(trace.ProfilesBeside(path), []byte(models), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := io.WriteString(z, requests); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll reads a trace to its end.
func readAll(path string) ([]trace.Request, error) {
	profiles, err := trace.ReadProfiles(trace.ProfilesBeside(path))
	if err != nil {
		return nil, err
	}
	r, err := trace.Open(path, profiles)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var all []trace.Request
	for {
		var q trace.Request
		err := r.Read(&q)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, q)
	}
}

func TestRead(t *testing.T) {
	got, err := readAll(write(t, modelsHead+small, traceHead+"5,small,7,8\n1500,small,0,1"))
	want := []trace.Request{
		{At: 5 * time.Millisecond, Input: 7, Output: 8},
		{At: 1500 * time.Millisecond, Output: 1},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, %s", err, diff)
	}
}

func TestRead_SaysWhereAndWhatIsWrong(t *testing.T) {
	models := modelsHead + small
	rows := []struct{ name, models, requests, want string }{
		{"no header", models, "1,small,1,1\n", "t.csv.gz:1: the header is"},
		{"three fields", models, traceHead + "1,small,1,1\n2,small,1\n", "t.csv.gz:3: \"2,small,1\" has not four fields"},
		{"five fields", models, traceHead + "1,small,1,1,1\n", "t.csv.gz:2: "},
		{"no number", models, traceHead + "1,small,x,1\n", "t.csv.gz:2: \"1,small,x,1\" has a field that is no whole number"},
		{"empty number", models, traceHead + "1,small,,1\n", "t.csv.gz:2: "},
		{"a moment beyond all time", models, traceHead + "99999999999999999999,small,1,1\n", "t.csv.gz:2: "},
		{"out of order", models, traceHead + "2,small,1,1\n1,small,1,1\n", "t.csv.gz:3: t_ms 1 comes after 2"},
		{"unknown model", models, traceHead + "1,large,1,1\n", "t.csv.gz:2: model \"large\" is not among the trace's models"},
		{"no models", modelsHead, traceHead, "t_models.csv: no models"},
		{"a column is missing", "model,gpus\nsmall,1\n", traceHead, "t_models.csv:1: no column \"weights_gb\""},
		{"a model twice", models + small, traceHead, "t_models.csv:3: model \"small\" is listed twice"},
		{"three GPUs", modelsHead + strings.Replace(small, ",1,16", ",3,16", 1), traceHead, "t_models.csv:2: gpus 3; a model has 1, 2, 4 or 8"},
		{"a negative time", modelsHead + strings.Replace(small, "60.0", "-60", 1), traceHead, "t_models.csv:2: cold_s \"-60\""},
		{"not a number", modelsHead + strings.Replace(small, "60.0", "NaN", 1), traceHead, "t_models.csv:2: cold_s \"NaN\""},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if _, err := readAll(write(t, r.models, r.requests)); err == nil || !strings.Contains(err.Error(), r.want) {
				t.Errorf("got %v, want %q", err, r.want)
			}
		})
	}
}

func TestRead_NotGzipped(t *testing.T) {
	path := write(t, modelsHead+small, "")
	if err := os.WriteFile(path, []byte(traceHead), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(path); err == nil || !strings.Contains(err.Error(), "a trace is a gzipped CSV") {
		t.Errorf("got %v", err)
	}
}

func TestRead_CutShort(t *testing.T) {
	path := write(t, modelsHead+small, traceHead+strings.Repeat("1,small,1,1\n", 5000))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(path); err == nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want an unexpected end", err)
	}
}

// Three requests of one second each: a wake of 1.5 s before the first, park and wake for the gap of 97 s, and the gap of one second as it is.
func TestLowerBound(t *testing.T) {
	path := write(t, modelsHead+small, traceHead+"100000,small,25000,0\n198000,small,25000,0\n200000,small,25000,0\n")
	profiles, err := trace.ReadProfiles(trace.ProfilesBeside(path))
	if err != nil {
		t.Fatal(err)
	}
	r, err := trace.Open(path, profiles)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := trace.LowerBound(r, profiles, 0)
	if err != nil {
		t.Fatal(err)
	}
	const idle, busy = 1.5 + 3 + 1, 1 + 1 // the last gap is one second; the last request comes at the end, and is not scored
	if got.IdleGPUHours*3600-idle > 1e-6 || got.IdleGPUHours*3600 < idle-1e-6 || got.BusyGPUHours*3600 > busy+1e-6 || got.BusyGPUHours*3600 < busy-1e-6 {
		t.Errorf("got %.3f GPU-seconds idle and %.3f busy, want %v and %v", got.IdleGPUHours*3600, got.BusyGPUHours*3600, idle, busy)
	}
}
