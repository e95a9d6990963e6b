package store_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// tellsBeside: who writes beside waits for no writer, and what it notifies of is told to another store of the database, once it is committed.
func tellsBeside(t *testing.T, server *storetest.Server) {
	url := server.Database(t)
	a, b := openURL(t, url), openURL(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan string, 100)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer cancel()
	listening.Go(func() { _ = b.Listen(ctx, "pilotlight_test", func(what string) { told <- what }) })
	say := func(what string) error {
		return a.WriteBeside(t.Context(), func(tx *sql.Tx) error { return a.Notify(t.Context(), tx, "pilotlight_test", what) })
	}
	for end := time.Now().Add(time.Minute); len(told) == 0; time.Sleep(20 * time.Millisecond) { // it may not listen yet
		if err := say("first"); err != nil || time.Now().After(end) {
			t.Fatalf("got %v, and nothing told", err)
		}
	}
	failed := a.WriteBeside(t.Context(), func(tx *sql.Tx) error {
		if err := a.Notify(t.Context(), tx, "pilotlight_test", "not committed"); err != nil {
			t.Error(err)
		}
		return context.Canceled
	})
	if failed == nil {
		t.Error("got a transaction committed whose function has failed")
	}
	err := a.Write(t.Context(), func(*sql.Tx) error { return say("beside") })
	if err != nil {
		t.Error(err)
	}
	for what := range told {
		switch what {
		case "first":
			continue
		case "beside":
			return
		}
		t.Errorf("got told of %q", what)
		return
	}
}
