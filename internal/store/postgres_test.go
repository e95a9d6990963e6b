package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

func openURL(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestPostgres shares one server, because starting one takes seconds.
func TestPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	server := storetest.ServerOf(t)
	for name, test := range map[string]func(*testing.T, *storetest.Server){
		"several open and migrate at once": severalMigrate, "refuses what it cannot use": refusesDatabases, "tells no password": tellsNoPassword,
		"writers wait for each other": writersWait, "commits are durable": commitsAreDurable, "readers cannot write": readersCannotWrite,
		"keeps what belongs to no package": keepsOwnTables, "tells of what is written beside": tellsBeside,
	} {
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
}

func severalMigrate(t *testing.T, server *storetest.Server) {
	url := server.Empty(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s, err := store.OpenPostgres(context.Background(), url)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.SaveSetting(context.Background(), "scope", fmt.Sprint(i), "v"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := openURL(t, url).Settings(t.Context(), "scope"); len(got) != 4 || err != nil {
		t.Errorf("got %v, %v, want four settings", got, err)
	}
}

func refusesDatabases(t *testing.T, server *storetest.Server) {
	database := func(statements string) string {
		t.Helper()
		u, err := url.Parse(server.Empty(t))
		if err == nil {
			err = server.Exec(strings.TrimPrefix(u.Path, "/"), statements)
		}
		if err != nil {
			t.Fatal(err)
		}
		return u.String()
	}
	const ours = "CREATE TABLE pilotlight_store (one BIGINT PRIMARY KEY, version BIGINT NOT NULL);"
	for _, role := range []string{"CREATE ROLE reader LOGIN", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"} {
		if err := server.Exec("postgres", role); err != nil {
			t.Fatal(err)
		}
	}
	empty := server.Empty(t)
	for name, row := range map[string]struct {
		url  string
		want error
		says string
	}{
		"newer":        {database(ours + "INSERT INTO pilotlight_store VALUES (1, 99)"), store.ErrNewer, "version 99"},
		"foreign":      {database("CREATE TABLE customers (x TEXT)"), store.ErrForeign, "schema public"},
		"no database":  {server.URL("nowhere"), store.ErrUnknown, "nowhere"},
		"unreachable":  {"postgres://u:secret-word@127.0.0.1:1/d", store.ErrUnreachable, "127.0.0.1:1"},
		"no right":     {strings.Replace(empty, "postgres@", "reader@", 1), store.ErrUnwritable, "permission denied"},
		"no such user": {strings.Replace(empty, "postgres@", "nobody@", 1), store.ErrDenied, "nobody"},
		"no schema":    {empty + "&search_path=nowhere", store.ErrUnwritable, "search path"},
		"encoding":     {server.URL("latin"), nil, "UTF8"},
		"empty":        {"", nil, "postgres://user:password@host:5432/database"},
		"no URL":       {"postgres://u:secret-word@[/d", nil, "percent-encoded"},
	} {
		s, err := store.OpenPostgres(t.Context(), row.url)
		if s != nil {
			s.Close()
		}
		if err == nil || row.want != nil && !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: got %v, want %v that says %q", name, err, row.want, row.says)
		}
	}
	openURL(t, database("CREATE EXTENSION IF NOT EXISTS plpgsql")) // what belongs to an extension is in nobody's way
	openURL(t, database("CREATE SCHEMA theirs; CREATE TABLE theirs.customers (x TEXT)"))
}

func tellsNoPassword(t *testing.T, server *storetest.Server) {
	s := openURL(t, strings.Replace(server.Empty(t), "postgres@", "postgres:secret-word@", 1))
	if text := fmt.Sprint(s); strings.Contains(text, "secret-word") || !strings.Contains(text, "postgres@") {
		t.Errorf("got %s, want the user and no password", text)
	}
}

// What a writer reads, no other changes before it has written, in whatever process: each adds one to what it has read.
func writersWait(t *testing.T, server *storetest.Server) {
	url := server.Empty(t)
	const servers, each = 4, 20
	var wg sync.WaitGroup
	for range servers {
		s := openURL(t, url)
		wg.Go(func() {
			for range each {
				if _, err := s.NextTerm(context.Background(), began, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, want := nextTerm(t, openURL(t, url), began, 0), uint64(began.UnixMilli())+servers*each; got != want {
		t.Errorf("got term %d, want %d", got, want)
	}
}

// The test's server has synchronous_commit off.
func commitsAreDurable(t *testing.T, server *storetest.Server) {
	s := openURL(t, server.Empty(t))
	var got string
	err := s.Write(t.Context(), func(tx *sql.Tx) error { return tx.QueryRow("SHOW synchronous_commit").Scan(&got) })
	if err != nil || got != "on" {
		t.Errorf("got synchronous_commit %s, %v, want on", got, err)
	}
}

func readersCannotWrite(t *testing.T, server *storetest.Server) {
	s := openURL(t, server.Empty(t))
	if _, err := s.DB().Exec("DELETE FROM settings"); err == nil {
		t.Error("a reader could write")
	}
	err := s.Read(t.Context(), func(tx *sql.Tx) error {
		for range 2 {
			var n int
			if err := tx.QueryRow("SELECT count(*) FROM settings").Scan(&n); err != nil || n != 0 {
				t.Errorf("got %d settings, %v, want none", n, err)
			}
			if err := s.SaveSetting(t.Context(), "a", "b", "c"); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func keepsOwnTables(t *testing.T, server *storetest.Server) {
	s := openURL(t, server.Empty(t))
	for _, scope := range []string{"pool/b", "pool/A", "Pool/c", "pool/a"} {
		if err := s.SaveSettings(t.Context(), scope, map[string]string{"k": "v", "l": "w"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	scopes, err := s.SettingScopes(t.Context(), "pool/")
	if diff := cmp.Diff([]string{"pool/A", "pool/a", "pool/b"}, scopes); diff != "" || err != nil {
		t.Errorf("%v, scopes by their bytes (-want +got):\n%s", err, diff)
	}
}

// A server that hangs keeps connections open and says nothing; one that is gone comes back. Whoever asks gets an error in bounded time, and the next
// one an answer, without anybody's help.
func TestPostgres_HangsOrIsGone(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a server that hangs")
	}
	server := storetest.ServerOf(t)
	s := openURL(t, server.Database(t))
	save := func() error { return s.SaveSetting(t.Context(), "a", "b", "c") }
	if err := save(); err != nil {
		t.Fatal(err)
	}
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	hung := time.Now()
	err := save()
	if took := time.Since(hung); !errors.Is(err, store.ErrUnreachable) || took > 40*time.Second {
		t.Errorf("while it hangs: got %v after %s, want %v within 40 s", err, took, store.ErrUnreachable)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	asked := time.Now()
	if err := s.Read(ctx, func(tx *sql.Tx) error { return tx.QueryRowContext(ctx, "SELECT 1").Scan(new(int)) }); err == nil || time.Since(asked) > 10*time.Second {
		t.Errorf("while it hangs: got %v after %s, want an error of a caller who does not wait", err, time.Since(asked))
	}
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	recovers(t, save)

	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := save(); !errors.Is(err, store.ErrUnreachable) {
		t.Errorf("while it is gone: got %v, want %v", err, store.ErrUnreachable)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	recovers(t, save)
}

func recovers(t *testing.T, save func() error) {
	t.Helper()
	var err error
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err = save(); err == nil {
			return
		}
	}
	t.Errorf("afterwards: got %v, want a write", err)
}
