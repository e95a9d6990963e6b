package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// installed is what an earlier version's admin API showed of its data directory.
type installed struct {
	Orgs    []admin.Org       `json:"orgs"`
	Tokens  []admin.Token     `json:"tokens"`
	Records []admin.Record    `json:"records"`
	Secrets map[string]string `json:"secrets"` // of a token of each organisation
}

// testdata/upgrade/version7.tar.gz is the data directory of a `pilotlight dev` of before there were limits, chains, corrections and invoices
// (version 7 of the tables), killed right behind its last answers: three of its records are in the log only.
func TestUpgrade_TakesOverAnEarlierInstallation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	untar(t, "testdata/upgrade/version7.tar.gz", dir)
	var old installed
	text, err := os.ReadFile("testdata/upgrade/version7.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &old); err != nil {
		t.Fatal(err)
	}
	s := startDev(t, dir)
	client := s.admin(t)
	wantTenants(t, client, &old)
	s.wantRecords(t, client, &old)
	wantInvoices(t, client, &old)
	wantPriceTable(t, old.Records)
	for org, status := range map[string]int{"acme": http.StatusOK, "zoo": http.StatusUnauthorized} { // zoo's token was revoked
		s.Token = old.Secrets[org]
		if a, err := s.chat(t.Context(), "meta-llama/Meta-Llama-3-8B-Instruct", false); err != nil || a.status != status {
			t.Errorf("a token of %s: got %+v, %v, want %d", org, a, err, status)
		}
	}
}

func untar(t *testing.T, path, dir string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, h.Name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func wantTenants(t *testing.T, client *admin.Client, old *installed) {
	t.Helper()
	for i := range old.Orgs { // limits came later
		old.Orgs[i].BudgetPeriod = "monthly"
	}
	orgs, err := client.Orgs(t.Context())
	if diff := cmp.Diff(old.Orgs, orgs); diff != "" || err != nil {
		t.Errorf("organisations: %v (-before +after):\n%s", err, diff)
	}
	tokens, err := client.Tokens(t.Context(), "")
	for i := range old.Tokens {
		old.Tokens[i].BudgetPeriod = "monthly"
	}
	for i := range tokens { // who has started the server has asked with its token
		tokens[i].LastUsedAt = nil
	}
	if diff := cmp.Diff(old.Tokens, tokens); diff != "" || err != nil {
		t.Errorf("tokens: %v (-before +after):\n%s", err, diff)
	}
}

func (s *devServer) wantRecords(t *testing.T, client *admin.Client, old *installed) {
	t.Helper()
	if diff := cmp.Diff(old.Records, s.records(t)); diff != "" {
		t.Errorf("records (-before +after):\n%s", diff)
	}
	want := map[string]*ledger.UsageRow{}
	for _, r := range old.Records {
		key := r.Org + " " + r.Model
		if want[key] == nil {
			want[key] = &ledger.UsageRow{Org: r.Org, Model: r.Model}
		}
		row := want[key]
		row.Requests++
		row.PromptTokens += r.PromptTokens
		row.CompletionTokens += r.CompletionTokens
		row.BilledUS += r.Billed.Microseconds()
		row.GPUUS += r.Billed.Microseconds() * int64(r.GPUs)
		row.Cost += r.Cost
	}
	usage, err := client.Usage(t.Context(), admin.UsageQuery{})
	if err != nil || len(usage.Usage) != len(want) {
		t.Fatalf("got %+v, %v, want %d sums", usage, err, len(want))
	}
	for _, row := range usage.Usage {
		if diff := cmp.Diff(*want[row.Org+" "+row.Model], row); diff != "" {
			t.Errorf("the sum of records (-want +got):\n%s", diff)
		}
	}
}

// wantInvoices checks that old records, which are in no chain, can be on an invoice.
func wantInvoices(t *testing.T, client *admin.Client, old *installed) {
	t.Helper()
	month := old.Records[0].DispatchedAt.Format("2006-01")
	var want fleet.NanoUSD
	for _, r := range old.Records {
		if r.Org == "acme" {
			want += r.Cost
		}
	}
	open, err := client.Invoice(t.Context(), "acme", month)
	if err != nil || open.Total != want || len(open.Chains) != 1 || open.Chains[0].Chain != "" {
		t.Errorf("got %+v, %v, want %d nano-USD of records in no chain", open, err, want)
	}
}

// wantPriceTable checks that the GPUs and the price of old records give the published prices.
func wantPriceTable(t *testing.T, all []admin.Record) {
	t.Helper()
	for _, row := range []struct {
		model  string
		billed time.Duration
		cost   fleet.NanoUSD
	}{
		{"Meta-Llama-3-8B-Instruct", time.Second, 2_291_667},
		{"Meta-Llama-3-70B-Instruct", 2 * time.Second, 18_333_333},
		{"Meta-Llama-3.1-405B-Instruct-FP8", 5 * time.Second, 91_666_667},
	} {
		i := slices.IndexFunc(all, func(r admin.Record) bool { return strings.HasSuffix(r.Model, row.model) })
		if i < 0 {
			t.Fatalf("no record of %s", row.model)
		}
		if got := ledger.Cost(row.billed, all[i].GPUs, all[i].Price); got != row.cost {
			t.Errorf("%v of %s: got %d nano-USD, want %d", row.billed, row.model, got, row.cost)
		}
	}
}
