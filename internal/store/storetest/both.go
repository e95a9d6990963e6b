package storetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

const (
	sqlite, onPostgres = "sqlite", "postgres"

	childURL = "PILOTLIGHT_TEST_DATABASE_URL" // of the store of a test binary's child
)

// current is what the tests run on.
var current = struct {
	sync.Mutex
	server    *Server           // nil = SQLite
	databases map[string]string // path -> URL
}{databases: map[string]string{}}

// M is *testing.M.
type M interface{ Run() int }

type both struct{ M }

// OnBoth gives what runs the tests on SQLite, and then on Postgres.
func OnBoth(m M) M { return both{m} }

func (b both) Run() int {
	Quick()
	only := os.Getenv("STORE")
	if only != onPostgres {
		if code := b.M.Run(); code != 0 || only == sqlite || only == "" && testing.Short() || flagged("test.list") || flagged("test.fuzz") || flagged("test.fuzzworker") {
			return code
		}
	}
	server, err := Start()
	if errors.Is(err, ErrMissing) && os.Getenv("PILOTLIGHT_REQUIRE") != "all" && only == "" {
		fmt.Fprintln(os.Stderr, "the tests have not run on Postgres:", err)
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting Postgres for the tests:", err)
		return 1
	}
	defer server.Close()
	fmt.Fprintln(os.Stderr, "== the same tests on Postgres")
	current.server = server
	return b.M.Run()
}

func flagged(name string) bool {
	f := flag.Lookup(name)
	return f != nil && f.Value.String() != "" && f.Value.String() != "false"
}

// OnPostgres reports whether the tests run on Postgres now.
func OnPostgres() bool { return current.server != nil }

// SkipOnPostgres skips a test of something that only SQLite has.
func SkipOnPostgres(t testing.TB, why string) {
	t.Helper()
	if OnPostgres() {
		t.Skip("of SQLite: " + why)
	}
}

// Open opens the store of a path, which several may open at once. It is closed with the test.
func Open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := TryOpen(t, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TryOpen is Open for tests that close the store themselves, or look at the error.
func TryOpen(t testing.TB, path string) (*store.Store, error) {
	t.Helper()
	if url := URL(t, path); url != "" {
		return store.OpenPostgres(context.Background(), url)
	}
	layTables(path)
	return store.Open(context.Background(), path)
}

// empty is the file of a database that was opened and closed, and no more.
var empty = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "pilotlight-empty-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "p.db")
	s, err := store.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// layTables writes a database that has the tables of this version where there is no file yet, so that each test need not make them anew. Where it cannot,
// whoever opens the path is told why.
func layTables(path string) {
	file, err := empty()
	if err != nil {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	_, err = f.Write(file)
	if errors.Join(err, f.Close()) != nil {
		_ = os.Remove(path) // half a database would be taken for a damaged one
	}
}

// URL gives the URL of a path's database, which goes with the test that first asks for it; "" on SQLite.
func URL(t testing.TB, path string) string {
	t.Helper()
	current.Lock()
	defer current.Unlock()
	if current.server == nil {
		return ""
	}
	url := current.databases[path]
	if url == "" {
		url = current.server.Database(t)
		current.databases[path] = url
		t.Cleanup(func() {
			current.Lock()
			defer current.Unlock()
			delete(current.databases, path)
		})
	}
	return url
}

// ChildEnv is what to add to the environment of a child that opens a path by OpenInChild.
func ChildEnv(t testing.TB, path string) []string {
	t.Helper()
	return []string{childURL + "=" + URL(t, path)}
}

// OpenInChild opens, in a child of a test binary, what its parent knows by the path.
func OpenInChild(path string) (*store.Store, error) {
	if url := os.Getenv(childURL); url != "" {
		return store.OpenPostgres(context.Background(), url)
	}
	return store.Open(context.Background(), path)
}

// Fail has a table refuse new rows for which a condition of NEW holds, until Allow.
func Fail(table, when string) string {
	if !OnPostgres() {
		return "CREATE TRIGGER fail BEFORE INSERT ON " + table + " WHEN " + when + " BEGIN SELECT RAISE(ABORT, 'of the test'); END"
	}
	return strings.NewReplacer("{table}", table, "{when}", when).Replace(`
		CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'of the test'; END $$;
		CREATE TRIGGER fail BEFORE INSERT ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION fail()`)
}

// Allow ends Fail.
func Allow(table string) string {
	if OnPostgres() {
		return "DROP TRIGGER fail ON " + table
	}
	return "DROP TRIGGER fail"
}
