package admin_test

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// withRecords gives a world with n usage records of as many tokens, half an hour apart.
func withRecords(t *testing.T, n int) (*world, *store.Store) {
	t.Helper()
	w, db := withLedger(t, func(*store.Store) {})
	for i := range n {
		at := began.Add(time.Duration(i) * 30 * time.Minute)
		check(t, w.ledger.Append(&ledger.Record{
			RequestID: fmt.Sprint("r", i), Org: "acme", TokenID: fmt.Sprintf("tok_%04d", i), Start: "hot", Model: "acme/a", Instance: "i-1", GPUs: 2,
			ReceivedAt: at, DispatchedAt: at, Upstream: 3 * time.Second, Billed: 2 * time.Second, Price: 8_250_000_000, Status: ledger.Complete,
		}))
	}
	w.move()
	return w, db
}

// march is a query of the month that began is in.
var march = admin.UsageQuery{From: "2026-03-01", To: "2026-04-01"}

func TestExportUsage_HasAllPages(t *testing.T) {
	t.Parallel()
	w, _ := withRecords(t, 1200) // more than a page
	q := march
	q.By = "token,day"
	var text bytes.Buffer
	check(t, w.client.ExportUsage(t.Context(), &text, q, "csv", ""))
	lines, err := csv.NewReader(&text).ReadAll()
	check(t, err)
	if len(lines) != 1201 || strings.Join(lines[0], ",") != "org,model,token_id,day,requests,prompt_tokens,completion_tokens,billed_us,gpu_us,cost_nano_usd,cost_usd" {
		t.Errorf("got %d lines, the first %v", len(lines), lines[0])
	}
	if got := lines[1200]; got[2] != "tok_1199" || got[9] != "9166667" || got[10] != "0.009166667" {
		t.Errorf("got the last line %v", got)
	}
	check(t, w.client.ExportUsage(t.Context(), &text, q, "jsonl", ""))
	var rows []ledger.UsageRow
	for d := json.NewDecoder(&text); ; {
		var row ledger.UsageRow
		if err := d.Decode(&row); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if len(rows) != 1200 || rows[1199].TokenID != "tok_1199" || rows[0].Day == "" {
		t.Errorf("got %d rows", len(rows))
	}
}

// TestRecords_OfAPeriod: of the records of a period the newest come first, page by page, and a period of more than a day is refused.
func TestRecords_OfAPeriod(t *testing.T) {
	w, _ := withRecords(t, 100)
	from := began.Add(10*time.Hour + time.Minute)
	var got []string
	for cursor := ""; ; {
		page, err := w.client.FindRecords(t.Context(), "acme", from, from.Add(2*time.Hour), cursor, 3)
		check(t, err)
		for _, r := range page.Records {
			got = append(got, r.RequestID)
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	if want := "r24 r23 r22 r21"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if _, err := w.client.FindRecords(t.Context(), "", from, from.Add(25*time.Hour), "", 0); err == nil || !strings.Contains(err.Error(), "24 hours") {
		t.Errorf("25 hours: got %v, want a refusal", err)
	}
}

func TestUsage_ByHour(t *testing.T) {
	w, _ := withRecords(t, 5)
	q := march
	q.By, q.Limit = "hour", 2
	page, err := w.client.Usage(t.Context(), q)
	check(t, err)
	if len(page.Usage) != 2 || page.NextCursor == nil || page.Usage[0].Hour != began.Truncate(time.Hour).Format(time.RFC3339) || page.Usage[0].Requests != 2 {
		t.Errorf("got %+v", page)
	}
	for path, param := range map[string]string{
		"/api/usage?by=hour": "by", "/api/usage?by=hour&from=2026-03-01&to=2026-04-02": "by", "/api/usage?by=day,day": "by", "/api/usage?by=model,token,day": "by",
		"/api/usage?format=xml": "format", "/api/usage?format=csv&limit=5": "limit", "/api/usage?format=csv&cursor=x": "cursor",
		"/api/usage?format=focus": "from", "/api/usage?format=focus&from=2026-03-01&to=2026-03-31": "from", "/api/usage?format=csv&focus_version=1.4": "focus_version",
		"/api/usage?focus_version=1.4": "focus_version", "/api/usage?format=focus&from=2026-03-01&to=2026-04-01&focus_version=1.3": "focus_version",
		"/api/usage/records?format=csv": "format", "/api/usage/records?format=jsonl&limit=5": "limit", "/api/usage/records?format=jsonl&cursor=x": "cursor",
	} {
		if status, body, _ := w.ask("GET", path, ""); status != 400 || paramOf(body) != param {
			t.Errorf("%s: got %d %s, want %s blamed", path, status, body, param)
		}
	}
}

func TestExportUsage_FOCUS(t *testing.T) {
	w, _ := withRecords(t, 3)
	for version, column := range map[string]string{"": "ServiceProviderName", "1.4": "InvoiceDetailId", "1.2": "ProviderName"} {
		var text bytes.Buffer
		q := march
		q.Org, q.By = "acme", ledger.ByToken
		check(t, w.client.ExportUsage(t.Context(), &text, q, "focus", version))
		lines, err := csv.NewReader(&text).ReadAll()
		check(t, err)
		if len(lines) != 4 || !strings.Contains(strings.Join(lines[0], ","), ","+column) || lines[1][0] != "0.009166667" {
			t.Errorf("version %q: got %v", version, lines)
		}
	}
}

func TestExportRecords_HasAllAndGoesOnAfterAny(t *testing.T) {
	t.Parallel()
	w, db := withRecords(t, 1200)
	export := func(cursor string) (records []ledger.Record) {
		t.Helper()
		var text bytes.Buffer
		check(t, w.client.ExportRecords(t.Context(), &text, "acme", cursor))
		for line := range strings.Lines(text.String()) {
			var r ledger.Record
			check(t, json.Unmarshal([]byte(line), &r))
			records = append(records, r)
		}
		return records
	}
	all := export("")
	if len(all) != 1200 || all[1199].RequestID != "r1199" {
		t.Fatalf("got %d records", len(all))
	}
	if rest := export(all[1189].ID); len(rest) != 10 || rest[0].RequestID != "r1190" {
		t.Errorf("after the 1190th: got %d records", len(rest))
	}
	// What cannot be read is missing in no export without a word.
	check(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE usage_blocks SET data = 'x'; UPDATE usage_parts SET data = 'x'")
		return err
	}))
	if err := w.client.ExportRecords(t.Context(), io.Discard, "acme", ""); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("of damaged blocks: got %v", err)
	}
}
