package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

const databaseURL = "PILOTLIGHT_DATABASE_URL"

// inPostgres adds the store to the config that localServe has written.
func inPostgres(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "pilotlight.hcl")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(text, "\nstore \"postgres\" {}\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// waiting gives how many records wait in the log.
func (s *devServer) waiting(t *testing.T) string {
	t.Helper()
	_, after, _ := strings.Cut(authorized(t, s.Admin+"/metrics"), "pilotlight_ledger_wal_records ")
	n, _, _ := strings.Cut(after, "\n")
	return n
}

func TestServe_WithoutItsDatabaseWaitsThenGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Postgres, and waits for it while it hangs")
	}
	server := storetest.ServerOf(t)
	url := server.Database(t)
	dir := localServe(t)
	inPostgres(t, dir)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Setenv(databaseURL, url)
	s := waitingServe(t, dir)
	if text := getText(t, s.standby(t)+"/readyz", http.StatusServiceUnavailable); !strings.Contains(text, "the store's database cannot be reached") {
		t.Errorf("readyz says %s", text)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := s.awaitServing(dir); err != nil {
		t.Fatal(err)
	}
	s.awaitReady(t)
	s.newToken(t)
	s.mustChat(t, "demo", true)

	const each = 5
	down := func(what string) {
		t.Helper()
		for range each {
			began := time.Now()
			s.mustChat(t, "demo", true)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("while the database %s: a request took %s", what, took)
			}
		}
		if n := s.waiting(t); n != "5" {
			t.Errorf("while the database %s: %s records wait, want %d", what, n, each)
		}
	}
	caughtUp := func() {
		t.Helper()
		eventually(t, 60*time.Second, func() string {
			if n := s.waiting(t); n != "0" {
				return n + " records still wait"
			}
			return ""
		})
	}
	caughtUp()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	down("is down")
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	caughtUp()
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	down("hangs")
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	caughtUp()
	ids := map[string]bool{}
	for _, text := range s.rawRecords(t) {
		var r struct{ ID string }
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		ids[r.ID] = true
	}
	if len(ids) != 1+2*each {
		t.Errorf("got %d records, want %d", len(ids), 1+2*each)
	}
	if strings.Contains(s.stderr.String(), "panic") {
		t.Error("it panicked")
	}
}

func TestServe_SaysWhatIsWrongWithItsDatabase(t *testing.T) {
	dir := localServe(t)
	inPostgres(t, dir)
	for name, row := range map[string]struct{ url, says string }{
		"no variable": {"", databaseURL + " is not set"},
		"no URL":      {"postgres://u:secret-word@[/d", databaseURL + ": it is no URL of a Postgres database"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := beginServe(dir, databaseURL+"="+row.url)
			if err != nil {
				t.Fatal(err)
			}
			select {
			case <-s.ended:
			case <-time.After(20 * time.Second):
				s.kill()
			}
			if said := s.stderr.String(); s.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said, row.says) || strings.Contains(said, "secret-word") {
				t.Errorf("it ended with %v and says %s, want %q", s.err, said, row.says)
			}
		})
	}
}

// A SQLite installation moves to Postgres: the same token works, and the same records are there.
func TestStoreCopy_MovesAnInstallationToPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Postgres")
	}
	server := storetest.ServerOf(t)
	t.Setenv(databaseURL, server.Empty(t))
	dir := localServe(t)
	from := filepath.Join(dir, "pilotlight.hcl")
	s, err := launchServe(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	s.awaitReady(t)
	s.newToken(t)
	s.mustChat(t, "demo", true)
	var before []json.RawMessage
	eventually(t, 10*time.Second, func() string {
		if before = s.rawRecords(t); len(before) != 1 {
			return fmt.Sprintf("%d records", len(before))
		}
		return ""
	})

	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "next.hcl")
	if err := os.WriteFile(to, append(text, "\nstore \"postgres\" {}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := runProgram(t, "store", "copy", "--from", from, "--to", to); code != 1 || !strings.Contains(out, "stop the server") {
		t.Errorf("while it runs: got %d, %s, want to be told to stop it", code, out)
	}
	saved := filepath.Join(t.TempDir(), "saved.db")
	if out, code := runProgram(t, "store", "backup", saved, "--config", from); code != 0 {
		t.Errorf("backup while it runs: got %d, %s", code, out)
	}
	copied, err := store.Open(context.Background(), saved)
	if err != nil {
		t.Fatal(err)
	}
	copied.Close()
	if err := s.signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if out, code := runProgram(t, "store", "copy", "--from", from, "--to", to); code != 0 || !strings.Contains(out, "usage_days") {
		t.Fatalf("got %d, %s, want the tables", code, out)
	}
	if out, code := runProgram(t, "store", "copy", "--from", from, "--to", to); code != 1 || !strings.Contains(out, "holds data already") {
		t.Errorf("once more: got %d, %s, want a refusal", code, out)
	}
	for _, config := range []string{from, to} {
		if out, code := runProgram(t, "store", "check", "--config", config); code != 0 || !strings.Contains(out, "1 usage records") {
			t.Errorf("check of %s: got %d, %s", config, code, out)
		}
	}
	if out, code := runProgram(t, "store", "backup", saved+"2", "--config", to); code != 1 || !strings.Contains(out, "pg_dump") {
		t.Errorf("backup of Postgres: got %d, %s, want pg_dump named", code, out)
	}
	if err := os.Rename(to, from); err != nil {
		t.Fatal(err)
	}
	next, err := launchServe(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer next.kill()
	next.Token = s.Token
	next.awaitReady(t)
	next.mustChat(t, "demo", true)
	eventually(t, 10*time.Second, func() string {
		if after := next.rawRecords(t); len(after) != 2 || string(after[0]) != string(before[0]) {
			return fmt.Sprintf("got %s, want %s and one more", after, before)
		}
		return ""
	})
}

// runProgram runs a command in a process of its own, and gives what it says.
func runProgram(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}
