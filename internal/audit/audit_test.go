package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.OnBoth(m)) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func act(action string) *audit.Act {
	return &audit.Act{Who: audit.Who{Actor: "root", Via: audit.API, From: "192.0.2.1", Request: "r-1"}, Action: action}
}

func open(t *testing.T) (*store.Store, *audit.Log) {
	t.Helper()
	s := storetest.Open(t, filepath.Join(t.TempDir(), "p.db"))
	return s, audit.New(s, nil)
}

func list(t *testing.T, l *audit.Log, q audit.Query) []audit.Entry {
	t.Helper()
	page, _, err := l.List(t.Context(), q)
	check(t, err)
	return page
}

// set changes a setting with its entry, in one transaction, and fails after both where fail says so.
func set(ctx context.Context, s *store.Store, value string, c audit.Change, fail error) error {
	return s.SaveSettings(ctx, "a", map[string]string{"b": value}, func(tx *sql.Tx) error { return errors.Join(audit.Note(ctx, tx, c), fail) })
}

// TestNote_WithTheChangeOrNotAtAll: an entry is there if and only if its change is.
func TestNote_WithTheChangeOrNotAtAll(t *testing.T) {
	s, l := open(t)
	done := act("pool.tune")
	check(t, set(audit.With(t.Context(), done), s, "1", audit.Change{Subject: "pool/h100", Before: map[string]any{"b": 0, "c": 1}, After: map[string]any{"b": 1, "c": 1}}, nil))
	l.End(t.Context(), done, "")
	broken := errors.New("the disk is on fire")
	undone := act("pool.tune")
	if err := set(audit.With(t.Context(), undone), s, "2", audit.Change{Subject: "pool/h100", After: map[string]any{"b": 2}}, broken); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	undone.On("pool/h100")
	l.End(t.Context(), undone, broken.Error())
	got := list(t, l, audit.Query{})
	if len(got) != 2 {
		t.Fatalf("got %d entries, want one for each act", len(got))
	}
	if e := got[1]; string(e.Before) != `{"b":0}` || string(e.After) != `{"b":1}` || e.Error != "" || e.Actor != "root" || e.From != "192.0.2.1" || e.Request != "r-1" || e.ID != 1 {
		t.Errorf("of what was done: got %+v, want what differs", e)
	}
	if e := got[0]; e.Error != "the disk is on fire" || string(e.After) != "null" || e.Subject != "pool/h100" {
		t.Errorf("of what failed: got %+v, want the error and no change", e)
	}
	kept, err := s.Settings(t.Context(), "a")
	check(t, err)
	if kept["b"] != "1" {
		t.Errorf("got the setting %q, want what has an entry", kept["b"])
	}
}

// TestNote_TheServersOwnChangesHaveNone: without an act nobody has done it.
func TestNote_TheServersOwnChangesHaveNone(t *testing.T) {
	s, l := open(t)
	check(t, set(t.Context(), s, "1", audit.Change{Subject: "pool/h100"}, nil))
	if got := list(t, l, audit.Query{}); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestEnd_KeepsWhatIsInNoTransaction(t *testing.T) {
	_, l := open(t)
	a := act("model.start")
	a.On("model/acme/a")
	a.Changes(map[string]any{"state": "cold"}, map[string]any{"held_hot_for": "10m"})
	l.End(t.Context(), a, "")
	ended, cancel := context.WithCancel(t.Context())
	cancel() // the server ends: what was done was done all the same
	b := act("model.stop")
	b.On("model/acme/a")
	l.End(ended, b, "no_capacity")
	got := list(t, l, audit.Query{Subject: "model"})
	if len(got) != 2 || got[0].Action != "model.stop" || got[0].Error != "no_capacity" || string(got[1].After) != `{"held_hot_for":"10m"}` {
		t.Errorf("got %+v", got)
	}
}

// TestChain_FindsWhatWasChanged: each thing that somebody with the database may do.
func TestChain_FindsWhatWasChanged(t *testing.T) {
	for name, damage := range map[string]string{
		"another actor":   "UPDATE audit SET actor = 'nobody' WHERE id = 3",
		"another time":    "UPDATE audit SET at = at + 1 WHERE id = 3",
		"another value":   "UPDATE audit SET new_value = '{}' WHERE id = 3",
		"one taken out":   "DELETE FROM audit WHERE id = 3",
		"the first gone":  "DELETE FROM audit WHERE id = 1",
		"another hash":    "UPDATE audit SET hash = (SELECT hash FROM audit WHERE id = 1) WHERE id = 3",
		"one put between": "UPDATE audit SET id = 30 WHERE id = 5",
	} {
		t.Run(name, func(t *testing.T) {
			s, l := open(t)
			for i := range 5 {
				check(t, set(audit.With(t.Context(), act("pool.tune")), s, "1", audit.Change{Subject: "pool/h100", After: map[string]any{"n": i, "text": "ünï\u2028code <&>"}}, nil))
			}
			whole, err := audit.CheckStore(t.Context(), s)
			check(t, err)
			if whole.Entries != 5 || len(whole.Wrong) > 0 || whole.Newest != list(t, l, audit.Query{})[0].Hash {
				t.Fatalf("got %+v of a log that nobody has touched", whole)
			}
			check(t, s.Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(damage); return err }))
			got, err := audit.CheckStore(t.Context(), s)
			check(t, err)
			if len(got.Wrong) == 0 {
				t.Error("got nothing wrong")
			}
		})
	}
}

// TestChain_HoldsThroughTheAPI: whoever has the JSON of the entries can check them.
func TestChain_HoldsThroughTheAPI(t *testing.T) {
	s, l := open(t)
	for i := range 3 {
		check(t, set(audit.With(t.Context(), act("pool.tune")), s, "1", audit.Change{Subject: "pool/h100", After: map[string]any{"n": i, "big": 1 << 62, "text": "a<b\u2028"}}, nil))
	}
	text, err := json.Marshal(list(t, l, audit.Query{}))
	check(t, err)
	var read []audit.Entry
	check(t, json.Unmarshal(text, &read))
	var c audit.Checker
	for i := range read {
		c.Add(&read[i])
	}
	c.End()
	if c.Entries != 3 || len(c.Wrong) > 0 {
		t.Errorf("got %+v of %s", c, text)
	}
}

// TestAdd_OfSeveralServersIsOneChain: the store's write lock orders all who write.
func TestAdd_OfSeveralServersIsOneChain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	var servers sync.WaitGroup
	for i := range 3 {
		s := storetest.Open(t, path)
		servers.Go(func() {
			l := audit.New(s, nil)
			for n := range 10 {
				a := act("model.start")
				a.On(fmt.Sprintf("model/%d-%d", i, n))
				l.End(context.Background(), a, "")
			}
		})
	}
	servers.Wait()
	c, err := audit.CheckStore(t.Context(), storetest.Open(t, path))
	check(t, err)
	if c.Entries != 30 || len(c.Wrong) > 0 {
		t.Errorf("got %+v, want 30 in one chain", c)
	}
}

// TestEntries_HoldNoSecrets: wherever one stands.
func TestEntries_HoldNoSecrets(t *testing.T) {
	s, l := open(t)
	secrets := []string{"pl_" + strings.Repeat("aB3", 17), "hunter2hunter2", "dGhlIHNlY3JldA0123456789"}
	texts := []string{
		"a token " + secrets[0] + " in a text", "https://admin:" + secrets[1] + "@billing.test/usage?x=1", "postgres://" + secrets[1] + "@db/p",
		"Authorization: Bearer " + secrets[2], "password=" + secrets[1] + " host=db", `HF_TOKEN = "` + secrets[2] + `"`,
	}
	for _, one := range texts {
		a := act("config.apply")
		a.On("config " + one)
		a.Changes(map[string]any{"list": []string{one}, one: 1}, map[string]any{"deep": map[string]any{"x": one}})
		l.End(t.Context(), a, one)
		b := act("config.apply")
		b.Request = one
		check(t, set(audit.With(t.Context(), b), s, "1", audit.Change{Subject: one, After: map[string]any{"x": one}}, nil))
	}
	got := list(t, l, audit.Query{})
	all, err := json.Marshal(got)
	check(t, err)
	for _, secret := range secrets {
		if strings.Contains(string(all), secret) {
			t.Errorf("got %s in %s", secret, all)
		}
	}
	if len(got) != 2*len(texts) || !strings.Contains(string(all), "billing.test/usage?x=1") {
		t.Errorf("got %s, want the rest kept", all)
	}
}

// TestEntries_AreBounded: neither a long text nor a large file makes a large entry, and what no database takes is left out.
func TestEntries_AreBounded(t *testing.T) {
	_, l := open(t)
	many := map[string]any{}
	for i := range 5000 {
		many[fmt.Sprintf("key %04d", i)] = strings.Repeat("x", 2100)
	}
	a := act("config.apply")
	a.On("a\x00b\n\xffc")
	a.Changes(nil, many)
	l.End(t.Context(), a, "")
	got := list(t, l, audit.Query{})
	if len(got) != 1 || len(got[0].After) > 2<<20 || !strings.Contains(string(got[0].After), "and 4500 more") || strings.ContainsAny(got[0].Subject, "\x00\n") {
		t.Errorf("got %d entries, want a bounded one", len(got))
	}
}

func TestList_FiltersAndGoesOn(t *testing.T) {
	_, l := open(t)
	before := time.Now().Add(-time.Second)
	for i, e := range []struct{ actor, action, subject string }{
		{"root", "org.create", "org/acme"},
		{"ana", "org.update", "org/acme"},
		{"ana", "org.update", "org/acme2"},
		{"tok_1", "token.create", "token/tok_2"},
		{"root", "organ.play", "organs/1"},
	} {
		a := &audit.Act{Who: audit.Who{Actor: e.actor, Request: fmt.Sprint(i + 1)}, Action: e.action}
		a.On(e.subject)
		l.End(t.Context(), a, "")
	}
	for name, row := range map[string]struct {
		q    audit.Query
		want string
	}{
		"all":               {audit.Query{}, "5 4 3 2 1"},
		"an actor":          {audit.Query{Actor: "ana"}, "3 2"},
		"an action":         {audit.Query{Action: "org.update"}, "3 2"},
		"of a kind":         {audit.Query{Action: "org"}, "3 2 1"},
		"a subject":         {audit.Query{Subject: "org/acme"}, "2 1"},
		"subjects of kind":  {audit.Query{Subject: "org"}, "3 2 1"},
		"both":              {audit.Query{Actor: "root", Action: "org"}, "1"},
		"since":             {audit.Query{From: before}, "5 4 3 2 1"},
		"until":             {audit.Query{To: before}, ""},
		"nothing":           {audit.Query{Subject: "org/%"}, ""},
		"after one":         {audit.Query{Cursor: "3"}, "2 1"},
		"a page, and the 5": {audit.Query{Limit: 2}, "5 4"},
	} {
		var ids []string
		for _, e := range list(t, l, row.q) {
			ids = append(ids, e.Request)
		}
		if got := strings.Join(ids, " "); got != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
	var seen []int64
	for q := (audit.Query{Limit: 2}); ; {
		page, next, err := l.List(t.Context(), q)
		check(t, err)
		for _, e := range page {
			seen = append(seen, e.ID)
		}
		if next == "" {
			break
		}
		q.Cursor = next
	}
	if !slices.Equal(seen, []int64{5, 4, 3, 2, 1}) {
		t.Errorf("page by page: got %v", seen)
	}
	var invalid *audit.InvalidError
	if _, _, err := l.List(t.Context(), audit.Query{Cursor: "x"}); !errors.As(err, &invalid) || invalid.Field != "cursor" {
		t.Errorf("a bad cursor: got %v", err)
	}
}

// TestAppendOnly: no code of ours changes or deletes an entry.
func TestAppendOnly(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)(DELETE\s+FROM|UPDATE|REPLACE\s+INTO|DROP\s+TABLE|TRUNCATE)\s+audit\b`)
	files := 0
	root := filepath.Join("..", "..")
	check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if ext := filepath.Ext(path); d.IsDir() || ext != ".go" && ext != ".sql" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if !bytes.Contains(bytes.ToLower(text), []byte("audit")) { // the pattern is slow
			return err
		}
		if found := forbidden.Find(text); found != nil {
			t.Errorf("%s has %q", path, found)
		}
		return err
	}))
	if files < 300 {
		t.Errorf("looked at %d files, which cannot be all", files)
	}
}

// TestChain_AForgedEntryBreaksTheNext: whoever changes an entry and makes its hash fit would have to do so with all that follow.
func TestChain_AForgedEntryBreaksTheNext(t *testing.T) {
	s, l := open(t)
	for range 4 {
		l.End(t.Context(), act("model.start"), "")
	}
	forged := list(t, l, audit.Query{})[2]
	forged.Actor = "nobody"
	hash := forged.HashOf()
	check(t, s.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE audit SET actor = $1, hash = $2 WHERE id = $3", forged.Actor, hash[:], forged.ID)
		return err
	}))
	got, err := audit.CheckStore(t.Context(), s)
	check(t, err)
	if len(got.Wrong) != 1 || !strings.Contains(got.Wrong[0], "entry 3 is not what its hash was made of") {
		t.Errorf("got %v, want the one after it found", got.Wrong)
	}
}
