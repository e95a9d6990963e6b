package access_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	root   = "root-of-twenty-four-characters"
	first  = "first-of-twenty-four-characters"
	second = "second-of-twenty-four-characters"
)

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	for _, err := range []error{os.WriteFile(file+".new", []byte(text), 0o600), os.Chmod(file+".new", mode), os.Rename(file+".new", file)} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// who has a secret; "" = nobody.
func who(a *access.Admins, secret string) string {
	found, _ := a.Find([]byte(secret))
	marked, _ := a.ByMark(access.Mark(secret))
	if found != marked {
		return "two"
	}
	return found.Name
}

func TestNew_RefusesWhatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		write(t, path, text, mode)
		return path
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file("target", first, 0o600), link); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"SHORT": "short", "SAME": root}
	for name, row := range map[string]struct {
		token access.Token
		says  string
	}{
		"variable not set": {access.Token{Env: "NONE"}, "NONE is not set"},
		"short":            {access.Token{Env: "SHORT"}, "5 characters"},
		"root's":           {access.Token{Env: "SAME"}, `same as that of "root"`},
		"no file":          {access.Token{File: filepath.Join(dir, "none")}, "no such file"},
		"read by others":   {access.Token{File: file("open", first, 0o644)}, "chmod 600"},
		"written by them":  {access.Token{File: file("wide", first, 0o620)}, "chmod"},
		"a link":           {access.Token{File: link}, "link"},
		"empty":            {access.Token{File: file("empty", " \n", 0o600)}, "is empty"},
		"one line short":   {access.Token{File: file("one", first+"\nshort\n", 0o600)}, "5 characters"},
	} {
		row.token.Name, row.token.Role = "ana", access.Auditor
		_, err := access.New(access.Config{Root: root, Tokens: []access.Token{row.token}, Getenv: func(n string) string { return env[n] }})
		if err == nil || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), `"ana"`) || strings.Contains(err.Error(), first) {
			t.Errorf("%s: got %v, want %q, the name, and no secret", name, err, row.says)
		}
	}
	if _, err := access.New(access.Config{Root: root[:23]}); err == nil || !strings.Contains(err.Error(), "23 characters") {
		t.Errorf("a short root: got %v", err)
	}
}

// TestFiles_AreReadAnewWhenTheyChange: a second token works beside the first, then instead of it; what others may read, or is gone, is refused.
func TestFiles_AreReadAnewWhenTheyChange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ana")
	synctest.Test(t, func(t *testing.T) {
		write(t, file, first+"\n", 0o600)
		var log bytes.Buffer
		a, err := access.New(access.Config{
			Root: root, Tokens: []access.Token{{Name: "ana", Role: access.Auditor, File: file}}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := a.Find([]byte(first)); !ok || got != (access.Admin{Name: "ana", Role: access.Auditor}) {
			t.Errorf("got %+v, %v", got, ok)
		}
		for step, row := range []struct {
			change        func()
			first, second string
			says          string
		}{
			{func() {}, "ana", "", ""},
			{func() { write(t, file, first+"\n\n"+second+"\n", 0o600) }, "ana", "ana", "read anew"},
			{func() { write(t, file, second, 0o600) }, "", "ana", "read anew"},
			{func() { write(t, file, second, 0o644) }, "", "", "chmod 600"},
			{func() {}, "", "", ""}, // and is said once
			{func() { write(t, file, first, 0o600) }, "ana", "", "read anew"},
			{func() { _ = os.Remove(file) }, "", "", "no such file"},
			{func() {}, "", "", ""},
			{func() { write(t, file, second, 0o600) }, "", "ana", "read anew"},
		} {
			log.Reset()
			row.change()
			time.Sleep(time.Second)
			if got := who(a, first); got != row.first {
				t.Errorf("step %d: the first is %q's, want %q", step, got, row.first)
			}
			if got := who(a, second); got != row.second {
				t.Errorf("step %d: the second is %q's, want %q", step, got, row.second)
			}
			if who(a, root) != access.Root {
				t.Errorf("step %d: root is locked out", step)
			}
			if got := log.String(); !strings.Contains(got, row.says) || row.says == "" && got != "" || strings.Contains(got, first) || strings.Contains(got, second) {
				t.Errorf("step %d: got log %q, want %q and no secret", step, got, row.says)
			}
		}
	})
}

// TestPrepare_ChangesNothingUntilItIsCommitted, and nothing at all where one token cannot be used.
func TestPrepare_ChangesNothingUntilItIsCommitted(t *testing.T) {
	env := map[string]string{"A": first, "B": second}
	a, err := access.New(access.Config{Root: root, Tokens: []access.Token{{Name: "ana", Role: access.Auditor, Env: "A"}}, Getenv: func(n string) string { return env[n] }})
	if err != nil {
		t.Fatal(err)
	}
	commit, err := a.Prepare([]access.Token{{Name: "bill", Role: access.Billing, Env: "B"}})
	if err != nil || who(a, first) != "ana" || who(a, second) != "" {
		t.Errorf("got %v, %q and %q before it is committed", err, who(a, first), who(a, second))
	}
	commit()
	if who(a, first) != "" || who(a, second) != "bill" {
		t.Errorf("got %q and %q after it", who(a, first), who(a, second))
	}
	if _, err := a.Prepare([]access.Token{{Name: "c", File: "/nonexistent"}}); !errors.Is(err, fs.ErrNotExist) || who(a, second) != "bill" {
		t.Errorf("got %v, and %q", err, who(a, second))
	}
}
