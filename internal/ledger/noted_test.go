package ledger

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// A process that dies between the note of a correction and its record, or right behind the record, has made it once: the next start sees to that, and so
// does whoever asks again.
func TestCorrect_ThatWasOnlyNotedIsFinished(t *testing.T) {
	for _, row := range []struct{ name, as string }{{"by the next start", "start"}, {"by who asks again", "ask"}, {"twice, by two servers", "twice"}, {"its mark was lost", "mark"}} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := storetest.TryOpen(t, filepath.Join(dir, "p.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			config := Config{Dir: filepath.Join(dir, "ledger"), Store: s}
			l, err := Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			r := &Record{Org: "acme", Model: "m", GPUs: 1, Price: 8_250_000_000, Billed: time.Second, DispatchedAt: time.Now()}
			if err := l.Append(r); err != nil {
				t.Fatal(err)
			}
			ask := Correction{Record: r.ID, Credit: 5, Reason: "slow", Key: "k", By: "ops"}
			var noted *Record
			err = s.Write(t.Context(), func(tx *sql.Tx) (err error) {
				noted, err = ask.note(t.Context(), tx, r)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if row.as == "twice" || row.as == "mark" {
				copied := *noted
				if err := l.Append(&copied); err != nil {
					t.Fatal(err)
				}
			}
			if row.as == "twice" { // whose log cannot be seen here
				copied := *noted
				if err := l.Append(&copied); err != nil {
					t.Fatal(err)
				}
			}
			l.Crash()
			if l, err = Open(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if row.as == "ask" {
				if again, already, err := l.Correct(t.Context(), ask); err != nil || again.ID != noted.ID || !already {
					t.Fatalf("got %+v, %t, %v, want the one that was noted", again, already, err)
				}
			} else {
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { l.Run(ctx) })
				for begun := time.Now(); time.Since(begun) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
					var left int
					if err := s.DB().QueryRow("SELECT COUNT(*) FROM corrections WHERE appended = 0").Scan(&left); err == nil && left == 0 {
						break
					}
				}
				stop()
				running.Wait()
			}
			if err := l.flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			rows, _, err := l.Usage(t.Context(), Query{})
			if err != nil || len(rows) != 1 || rows[0].Cost != r.Cost-5 || rows[0].Requests != 1 {
				t.Errorf("got %+v, %v, want it credited once", rows, err)
			}
			if page, err := l.Records(t.Context(), "", "", 0); err != nil || len(page.Records) != 2 || page.Records[1].ID != noted.ID {
				t.Errorf("got %+v, %v, want the record and one correction", page.Records, err)
			}
		})
	}
}
