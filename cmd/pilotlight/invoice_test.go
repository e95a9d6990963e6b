package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// pastUsage fills a data directory with records of two months, before a server opens it.
func pastUsage(t *testing.T, dir string, first, second time.Time) (ids []string) {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(dir, "pilotlight.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: db})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		at := []time.Time{first, second}[n/4].AddDate(0, 0, 9+n)
		r := &ledger.Record{
			RequestID: fmt.Sprint("r", n), Org: "acme", TokenID: "tok", Model: "meta-llama/Meta-Llama-3-70B-Instruct", GPUs: 4, Start: fleet.Hot,
			ReceivedAt: at, DispatchedAt: at, Upstream: 2 * time.Second, Billed: 2 * time.Second, Price: 8_250_000_000, Status: ledger.Complete,
		}
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// commands runs commands against a server.
func commands(s *devServer) func(args ...string) (code int, stdout, stderr string) {
	return func(args ...string) (code int, stdout, stderr string) {
		var out, talk bytes.Buffer
		env := &Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Now: time.Now, Getenv: func(name string) string {
			return map[string]string{addrVariable: s.Admin, "USER": "ops"}[name]
		}}
		if args[0] != "invoice" || args[1] != "verify" {
			args = append(args, "--data-dir", s.DataDir)
		}
		code = run(context.Background(), args, env)
		return code, out.String(), talk.String()
	}
}

func TestInvoice_FromUsageToACheckedBill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now().UTC()
	first := time.Date(now.Year(), now.Month()-3, 1, 12, 0, 0, 0, time.UTC)
	ids := pastUsage(t, dir, first, first.AddDate(0, 1, 0))
	early, late := first.Format("2006-01"), first.AddDate(0, 1, 0).Format("2006-01")
	s := startDev(t, dir)
	ask := commands(s)
	want := func(words string, args ...string) string {
		t.Helper()
		code, out, talk := ask(args...)
		if code != 0 || !regexp.MustCompile(words).MatchString(talk+out) {
			t.Fatalf("%v: got %d\n%s%s\nwant 0 and %q", args, code, out, talk, words)
		}
		return out
	}
	refused := func(words string, args ...string) {
		t.Helper()
		if code, out, talk := ask(args...); code != 1 || !strings.Contains(talk, words) {
			t.Errorf("%v: got %d\n%s%s\nwant 1 and %q", args, code, out, talk, words)
		}
	}
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want("not closed: "+early+","+late, "invoice", "list")
	want(early+" is not closed(?s:.*)payable +0.07", "invoice", "show", "acme", early)
	want("-0.018333333", "correct", ids[0], "--all", "--reason", "it was slow", "--key", "k")
	want("-0.018333333", "correct", ids[0], "--all", "--reason", "it was slow", "--key", "k")
	refused("credited already", "correct", ids[0], "--credit-usd", "0.01", "--reason", "it was slow")
	refused("credit_usd", "correct", ids[1], "--credit-usd", "0.00", "--reason", "it was slow")
	refused("--credit-usd N, or --all", "correct", ids[1], "--reason", "it was slow")
	refused("more than a day beyond what is known of the time", "invoice", "close", late) // the newest record is of that month
	refused(early+" is not closed yet", "invoice", "close", late, "--confirm")
	refused(now.Format("2006-01")+" can be closed from", "invoice", "close", now.Format("2006-01"))
	want("1 +"+early+" +acme +0.054999999 +0.05 .* ops", "invoice", "close", early)
	want("was closed before(?s:.*)0.054999999", "invoice", "close", early)
	want("-0.008333333", "correct", ids[1], "--credit-usd", "0.008333333", "--reason", "it was slow, too")
	want("2 +"+late+" +acme +0.028333333 +0.03 ", "invoice", "close", late)
	want("corrections of "+early+", made after that month's invoice(?s:.*)total", "invoice", "show", "acme", late)
	refused(`there is no organisation "nobody"`, "invoice", "show", "nobody", late)
	want(`(?s)2 +`+late+`.*1 +`+early, "invoice", "list", "--org", "acme")

	for _, month := range []string{early, late} {
		bill := file("invoice.json", want(`"number"`, "invoice", "show", "acme", month, "--json"))
		receipts := want(`"corrects"`, "invoice", "receipts", "acme", month)
		want("PROBLEMS", "invoice", "verify", file("receipts.jsonl", receipts), "--invoice", bill)
		forged := strings.Replace(receipts, `"billed_us":2000000`, `"billed_us":2000001`, 1)
		if code, _, talk := ask("invoice", "verify", file("forged.jsonl", forged), "--invoice", bill); code != 2 || !strings.Contains(talk, "forged.jsonl:1: record "+ids[0]) && month == early {
			t.Errorf("forged: got %d %s, want 2 and its line", code, talk)
		}
	}
	page := filepath.Join(t.TempDir(), "invoice.html")
	want("", "invoice", "show", "acme", late, "--html", page)
	if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("<h1>Invoice</h1>")) || !bytes.Contains(text, []byte("0.028333333")) {
		t.Errorf("got %s, %v, want a page", text, err)
	}
	refused("is no invoice", "invoice", "verify", file("receipts.jsonl", ""), "--invoice", file("invoice.json", "[]"))
}
