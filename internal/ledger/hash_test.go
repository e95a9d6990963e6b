package ledger_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// hashed are records of all kinds: with every field and with few, with what JSON escapes and what is no UTF-8.
func hashed(t *testing.T) []ledger.Record {
	t.Helper()
	l, _ := newLedger(t)
	odd := record(1)
	odd.Org, odd.RequestID, odd.Instance = "ünï & <co>", "a\"b\\c", "\b\f\n\r\t\x00\x1f\x7f\u2028\U0001f525\xff"
	early := record(2)
	early.ReceivedAt, early.DispatchedAt, early.TokensUnknown, early.Wake = time.Time{}, time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), true, 1500*time.Microsecond
	correction := record(3)
	correction.Kind, correction.Corrects, correction.Reason, correction.Cost = ledger.KindCorrection, "abc", "billed twice: \"sorry\"", -(1 << 62)
	records := []*ledger.Record{record(0), odd, early, correction, {}}
	appendAll(t, l, records...)
	var all []ledger.Record
	for _, r := range records {
		all = append(all, *r)
	}
	return all
}

// The hash of a record, that of its JSON, and the one that its JSON says are the same; any change of it makes another.
func TestHashOf_IsTheHashOfTheJSONAlone(t *testing.T) {
	for _, r := range hashed(t) {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		want := ledger.HashOf(&r)
		if got, err := ledger.HashOfJSON(text); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil || fields["hash"] != want.String() {
			t.Errorf("%s: want the hash %s in it", text, want)
		}
		if r.Previous != (ledger.Hash{}) && fields["previous"] != r.Previous.String() {
			t.Errorf("%s: want the hash before, %s, in it", text, r.Previous)
		}
		var back ledger.Record
		if err := json.Unmarshal(text, &back); err != nil || ledger.HashOf(&back) != want {
			t.Errorf("%s: read back: got %s, %v, want %s", text, ledger.HashOf(&back), err, want)
		}
		fields["cost_usd"] = "1.00" // as a receipt has it
		receipt, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ledger.HashOfJSON(receipt); err == nil && got != want && r.Cost > -1<<53 { // floats of this test lose the smallest
			t.Errorf("of its receipt: got %s, want %s", got, want)
		}
		changed := regexp.MustCompile(`"gpus":\d+`).ReplaceAll(text, []byte(`"gpus":7`))
		if got, err := ledger.HashOfJSON(changed); err != nil || got == want {
			t.Errorf("with other GPUs: got %s, %v, want another hash", got, err)
		}
	}
}

func TestHashOfJSON_CoversKeysThatThisVersionDoesNotKnow(t *testing.T) {
	with, err := ledger.HashOfJSON([]byte(`{"id":"a","later":5,"some":{"b":true,"a":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	again, err := ledger.HashOfJSON([]byte(`{ "some": {"a": null, "b": true}, "later": 5, "id": "\u0061", "hash": "x" }`))
	if err != nil || again != with {
		t.Errorf("in another form: got %s, %v, want %s", again, err, with)
	}
	if without, err := ledger.HashOfJSON([]byte(`{"id":"a"}`)); err != nil || without == with {
		t.Errorf("without them: got %s, %v, want another hash", without, err)
	}
	for _, wrong := range []string{``, `[]`, `{"gpus":1.5}`, `{"gpus":[1]}`, `{"gpus":99999999999999999999}`, `{"previous":"12"}`, `{"previous":"` + strings.Repeat("x", 64) + `"}`} {
		if got, err := ledger.HashOfJSON([]byte(wrong)); err == nil {
			t.Errorf("%s: got %s, want an error", wrong, got)
		}
	}
}

// What docs/caller.md tells customers to run gives the same hashes.
func TestHashOf_IsWhatTheManualComputes(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
			t.Fatal("install python3")
		}
		t.Skip("install python3 to run what the manual tells customers to run")
	}
	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "caller.md"))
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)```python\n(import hashlib, json\n.*?)```").FindSubmatch(manual)
	if code == nil {
		t.Fatal("the manual no longer says how a hash is computed")
	}
	var in, want strings.Builder
	for _, r := range hashed(t) {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(text, '\n'))
		want.WriteString(ledger.HashOf(&r).String() + "\n")
	}
	cmd := exec.Command(python, "-c", string(code[1])+"\nimport sys\nfor line in sys.stdin:\n    print(hash_of(json.loads(line)))\n")
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != want.String() {
		t.Errorf("got %s, %v, want %s", out, err, want.String())
	}
}

func BenchmarkHashOf(b *testing.B) {
	r := record(1)
	r.Chain, r.ID = ledger.NewID(), ledger.NewID()
	b.ReportAllocs()
	for b.Loop() {
		r.Previous = ledger.HashOf(r)
	}
}
