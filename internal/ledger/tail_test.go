package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// changes counts what was written to the store since its file was opened elsewhere.
func changes(t *testing.T, l *Ledger) (blocks, version int64) {
	t.Helper()
	if err := l.store.DB().QueryRow("SELECT count(*) FROM usage_blocks").Scan(&blocks); err != nil {
		t.Fatal(err)
	}
	l.store.DB().SetMaxOpenConns(1) // data_version counts the commits of others for one connection
	if err := l.store.DB().QueryRow("PRAGMA data_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return blocks, version
}

// Each query once moved what was there: a receipt after each request made a block of each, and a tenth of the requests.
func TestQueries_WriteNothing(t *testing.T) {
	t.Parallel()
	storetest.SkipOnPostgres(t, "data_version")
	l := open(t, Async)
	_, before := changes(t, l)
	const n = 500
	for i := range n {
		r := &Record{Org: "acme", TokenID: "tok", RequestID: fmt.Sprint("r", i), Model: "m", DispatchedAt: time.Now(), PromptTokens: 1}
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Receipt(t.Context(), "acme", "tok", r.RequestID); err != nil || got.ID != r.ID {
			t.Fatalf("got %+v, %v, want the receipt of %s", got, err, r.RequestID)
		}
		rows, _, err := l.Usage(t.Context(), Query{Org: "acme"})
		if err != nil || len(rows) != 1 || rows[0].Requests != int64(i+1) || rows[0].PromptTokens != int64(i+1) {
			t.Fatalf("after %d requests: got %+v, %v", i+1, rows, err)
		}
		if _, err := l.Records(t.Context(), "acme", "", 0); err != nil {
			t.Fatal(err)
		}
	}
	if blocks, after := changes(t, l); blocks != 0 || after != before {
		t.Errorf("%d queries made %d blocks and %d writes, want none", 3*n, blocks, after-before)
	}
	if err := l.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if blocks, after := changes(t, l); blocks != 1 || after == before {
		t.Errorf("one move made %d blocks, want 1", blocks)
	}
}

// However a query meets the mover, it counts each record once.
func TestUsage_CountsOnceWhileRecordsAreMoved(t *testing.T) {
	l := open(t, Async)
	var begun, done atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			if l.backlog() > 1000 { // it would leave the mover behind
				time.Sleep(time.Millisecond)
				continue
			}
			begun.Add(1)
			if err := l.Append(&Record{Org: "acme", Model: "m", DispatchedAt: time.Now()}); err != nil {
				t.Error(err)
			}
			done.Add(1)
		}
	})
	running.Go(func() {
		for ctx.Err() == nil {
			if err := l.flush(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	for range 300 {
		least := done.Load()
		rows, _, err := l.Usage(t.Context(), Query{})
		most := begun.Load()
		got := int64(0)
		if len(rows) > 0 {
			got = rows[0].Requests
		}
		if err != nil || got < least || got > most {
			t.Errorf("got %d requests, %v, want %d to %d", got, err, least, most)
		}
	}
	cancel()
	running.Wait()
}

// A store that cannot be written to must not take all memory; queries know the records all the same.
func TestTail_AboveItsMemoryIsReadFromTheLog(t *testing.T) {
	l := open(t, Async)
	l.wal.tail.limit = 10 << 10
	const n = 2000 // 400 KB, six stretches
	for range n {
		if err := l.Append(&Record{Org: "acme", TokenID: "tok", Model: "m", DispatchedAt: time.Now(), Instance: string(bytes.Repeat([]byte("i"), 120))}); err != nil {
			t.Fatal(err)
		}
	}
	held := 0
	for _, s := range l.wal.unmoved() {
		held += len(s.frames)
	}
	if held == 0 || held > arenaSize+10<<10 || int64(held) != l.wal.tail.memory {
		t.Errorf("%d bytes are held, %d counted", held, l.wal.tail.memory)
	}
	want := func(requests int64) {
		t.Helper()
		rows, _, err := l.Usage(t.Context(), Query{})
		if err != nil || len(rows) != 1 || rows[0].Requests != requests {
			t.Errorf("got %+v, %v, want %d requests", rows, err, requests)
		}
	}
	want(n)
	if err := l.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(&Record{Org: "acme", Model: "m", DispatchedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if left := l.wal.unmoved(); len(left) != 1 || int64(len(left[0].frames)) != l.wal.tail.memory || len(left[0].frames) > 200 {
		t.Errorf("after the move: got %+v, want the last record", left)
	}
	want(n + 1)
}

func TestTail_ForgetsUpToAPlace(t *testing.T) {
	frames := bytes.Repeat([]byte("x"), 30)
	l := &tail{limit: 1000}
	one, two := &segment{number: 1, id: "one"}, &segment{number: 2, id: "two"}
	for _, s := range []*segment{one, two} {
		for _, part := range [][]byte{frames[:10], frames[10:20], frames[20:]} {
			l.add(s, part)
			s.end += int64(len(part))
		}
	}
	if len(l.stretches) != 2 || l.memory != 60 {
		t.Fatalf("got %+v, want a stretch a segment", l)
	}
	for _, row := range []struct {
		to      place
		left    int
		start   int64
		missing int64
	}{{place{1, 10}, 2, 10, 10}, {place{1, 10}, 2, 10, 10}, {place{1, 30}, 1, 0, 30}, {place{2, 20}, 1, 20, 50}, {place{2, 30}, 0, 0, 60}, {place{3, 0}, 0, 0, 60}} {
		l.forget(row.to)
		if len(l.stretches) != row.left || l.memory != 60-row.missing || row.left > 0 && l.stretches[0].start != row.start {
			t.Errorf("up to %v: got %+v", row.to, l)
		}
	}
}

func TestQueries_EndWithTheirContextWhileTheyWait(t *testing.T) {
	l := open(t, Async)
	for range queriesOfOrg {
		leave, err := l.readers.enter(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, _, err := l.Usage(ctx, Query{Org: "acme"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	if _, _, err := l.Usage(t.Context(), Query{Org: "zoo"}); err != nil {
		t.Errorf("another organisation's: got %v", err)
	}
}
