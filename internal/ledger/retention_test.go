package ledger

import (
	"testing"
	"time"
)

func TestPrune_DeletesABlockThatCannotBeReadWithItsKeys(t *testing.T) {
	l := open(t, Async)
	for _, org := range []string{"acme", "zoo"} {
		if err := l.Append(&Record{Org: org, RequestID: "named", DispatchedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := l.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	Exec(t, l.store, "UPDATE usage_blocks SET data = 'x' WHERE seq = 1")
	rows := func(table string) (n int) {
		if err := l.store.DB().QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	l.CloseAll(t)
	today := floorDay(time.Now().UnixMicro())
	if err := l.prune(t.Context(), today-1); err != nil || rows("usage_blocks") != 2 || rows("usage_keys") != 6 || rows("usage_days") != 2 {
		t.Fatalf("before their day is over: %v, or rows are gone", err)
	}
	if err := l.prune(t.Context(), today+2); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"usage_blocks", "usage_keys", "usage_days"} {
		if n := rows(table); n != 0 {
			t.Errorf("got %d rows of %s, want none", n, table)
		}
	}
}
