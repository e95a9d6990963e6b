package storetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
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
	flag.Parse()
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
	return store.Open(context.Background(), path)
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
