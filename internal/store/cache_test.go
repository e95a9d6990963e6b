package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"modernc.org/sqlite"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// A file grows as long as its server lives. What connections keep of it in memory does not.
func TestSQLite_KeepsFewPagesInMemory(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	const rows, each, most = 2000, 3 << 10, 21 << 20 // a page holds one
	text := strings.Repeat("x", each)
	err := s.Write(t.Context(), func(tx *sql.Tx) error {
		for n := range rows {
			if _, err := tx.Exec("INSERT INTO settings (scope, name, value) VALUES ($1, $2, $3)", "scope", fmt.Sprint(n), text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []*sql.Conn
	for n := range 1 + store.Readers {
		db := s.DB()
		if n == 0 {
			db = s.Writer()
		}
		c, err := db.Conn(t.Context()) // and none of those before
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var read int
		if err := c.QueryRowContext(t.Context(), "SELECT sum(length(value)) FROM settings").Scan(&read); err != nil || read != rows*each {
			t.Fatalf("read %d bytes, %v, want %d", read, err, rows*each)
		}
		all = append(all, c)
	}
	held := 0 // in the end: one takes unused pages from another
	for _, c := range all {
		held += cached(t, c)
	}
	if held > most {
		t.Errorf("the connections keep %d MiB of a file of %d MiB in memory, want %d at most", held>>20, rows*each>>20, most>>20)
	}
}

// cached is how many bytes of pages a connection keeps.
func cached(t *testing.T, c *sql.Conn) (bytes int) {
	t.Helper()
	err := c.Raw(func(driver any) (err error) {
		bytes, _, err = driver.(sqlite.DBStatus).Status(sqlite.DBStatusCacheUsed, false)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
