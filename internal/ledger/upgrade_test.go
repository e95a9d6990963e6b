package ledger_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

func unzip(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// testdata/version4.* is what Pilotlight wrote before there were runs and months: a database of 120 records in 63 blocks, a segment of its log
// with three more that were not moved, and all 123 as its API showed them.
func TestOpen_TakesOverWhatVersion4Wrote(t *testing.T) { takesOver(t, "version4") }

// testdata/version7.* is the like from before there were chains: with runs, months, tagged fields and unknown tokens.
func TestOpen_TakesOverWhatVersion7Wrote(t *testing.T) { takesOver(t, "version7") }

func takesOver(t *testing.T, version string) {
	storetest.SkipOnPostgres(t, "versions of before knew no other")
	dir := t.TempDir()
	segment := unzip(t, "testdata/"+version+".wal.gz")
	for name, data := range map[string][]byte{"p.db": unzip(t, "testdata/"+version+".db.gz"), "ledger/0000000000000001.wal": segment} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shown := unzip(t, "testdata/"+version+".json.gz")
	var want []ledger.Record
	var compact bytes.Buffer
	if err := errors.Join(json.Unmarshal(shown, &want), json.Compact(&compact, shown)); err != nil {
		t.Fatal(err)
	}
	c := ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: openStore(t, filepath.Join(dir, "p.db"))}
	l := openLedger(t, c)
	check := func(when string) {
		t.Helper()
		if diff := gocmp.Diff(want, all(t, l)); diff != "" {
			t.Fatalf("%s: (-want +got):\n%s", when, diff)
		}
		if text, err := json.Marshal(all(t, l)); err != nil || string(text) != compact.String() {
			t.Fatalf("%s: got %s, %v, want it as it was shown: %s", when, text, err, compact.String())
		}
		for i, r := range want {
			if r.Kind != ledger.KindUsage {
				continue
			}
			if got, err := l.Receipt(t.Context(), r.Org, r.TokenID, r.RequestID); err != nil || got.ID != r.ID {
				t.Fatalf("%s: receipt of %s: got %+v, %v", when, r.RequestID, got, err)
			}
			if page, err := l.Records(t.Context(), "", r.ID, 1); err != nil || i+1 < len(want) && page.Records[0].ID != want[i+1].ID {
				t.Fatalf("%s: after %s: got %+v, %v", when, r.ID, page, err)
			}
		}
		for _, q := range []ledger.Query{{}, {By: ledger.ByDay}, {By: ledger.ByToken, Org: "zoo"}, {From: noon.AddDate(0, 0, 3), To: noon.AddDate(0, 1, 0)}} {
			rows, _, err := l.Usage(t.Context(), q)
			if diff := gocmp.Diff(summed(want, q), rows); diff != "" || err != nil {
				t.Fatalf("%s: %+v: %v (-want +got):\n%s", when, q, err, diff)
			}
		}
	}
	check("as it was")
	if err := l.SortSome(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("as Run sorts it")
	sorted(t, l)
	check("sorted")
	replay(t, c.Store, segment, true) // put back from a backup
	check("with the log once more")
	l.CloseAll(t)
	if err := l.PruneBefore(t.Context(), slices.MaxFunc(want, func(a, b ledger.Record) int { return a.DispatchedAt.Compare(b.DispatchedAt) }).DispatchedAt.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"usage_blocks", "usage_runs", "usage_parts", "usage_extents", "usage_keys", "usage_days"} {
		var n int
		if err := c.Store.DB().QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n != 0 {
			t.Errorf("after all days: got %d rows of %s, %v, want none", n, table, err)
		}
	}
}
