package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// usageWorld is a world with a request of two organisations in each hour of the day, those to come included.
func usageWorld(t *testing.T) (w *world, b *browser) {
	t.Helper()
	w = newWorld(t)
	for h := range 24 {
		at := w.now.Truncate(24 * time.Hour).Add(time.Duration(h)*time.Hour + 30*time.Minute)
		for i, org := range []string{"acme", "zoo"} {
			err := w.ledger.Append(&ledger.Record{
				ID: fmt.Sprintf("%s-%02d", org, h), Org: org, TokenID: "tok_" + org, Model: []string{"m/one", "m/two"}[i], Instance: "i", GPUs: 1, Start: fleet.Hot, ReceivedAt: at,
				DispatchedAt: at, Billed: time.Second, Upstream: time.Second, Price: 3_600_000_000_000, Status: ledger.Complete,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return w, w.operatorAt()
}

func (b *browser) wants(path string, status int, all ...string) string {
	b.t.Helper()
	r := b.get(path)
	if r.status != status {
		b.t.Errorf("%s: got %d, want %d", path, r.status, status)
	}
	for _, want := range all {
		if !strings.Contains(r.body, want) {
			b.t.Errorf("%s: no %q on the page", path, want)
		}
	}
	return r.body
}

// A second of one GPU costs a dollar here.
func TestUsage_ByTwoKeysAndDownToSingleRequests(t *testing.T) {
	w, b := usageWorld(t)
	month, day := w.now.Format("2006-01"), w.now.Format(time.DateOnly)
	page := b.wants("/usage?by=day&and=token", http.StatusOK, "$48.00", "tok_acme", "Cost a day", "Cost a month", `href="/usage?and=token&amp;by=day&amp;day=`+day+`&amp;month=`+month+`"`)
	if n := strings.Count(page, "<tr>"); n != 1+2 {
		t.Errorf("by day and token: got %d rows, want one for each organisation", n-1)
	}
	page = b.wants("/usage?by=hour&and=token&org=acme&day="+day, http.StatusOK, "$24.00", "Cost an hour", "05:00", `/requests?day=`+day+`&amp;hour=05&amp;model=m%2Fone&amp;org=acme&amp;token=tok_acme`)
	if n := strings.Count(page, "<tr>"); n != 1+24 {
		t.Errorf("by hour: got %d rows, want 24", n-1)
	}
	page = b.wants("/requests?day="+day+"&hour=05&org=acme", http.StatusOK, "/request/acme-05")
	if strings.Contains(page, "acme-06") || strings.Contains(page, "zoo-05") {
		t.Error("requests of another hour or organisation are listed")
	}
	page = b.wants("/requests?org=zoo&model=m%2Ftwo&day="+day, http.StatusOK, "/request/zoo-00", "/request/zoo-23")
	if strings.Contains(page, "acme-") {
		t.Error("another organisation's requests are listed")
	}
	b.wants("/usage?model=m%2Fone", http.StatusOK, "$24.00")
	b.wants("/usage?token=tok_zoo", http.StatusOK, "$24.00")
	b.wants("/usage?day=yesterday", http.StatusBadRequest, "no day")
	b.wants("/requests?hour=25&day="+day, http.StatusBadRequest, "no hour")
	b.wants("/usage?month=2020-01", http.StatusOK, "Nothing was used in this month")
	csv := b.wants("/usage.csv?by=hour&and=token&org=acme&day="+day, http.StatusOK, "token_id", "hour", day+"T05:00:00Z")
	if n := strings.Count(csv, "\n"); n != 25 {
		t.Errorf("got a CSV of %d lines, want a head and 24", n)
	}
	b.wants("/usage.csv?format=focus&by=day&month="+month, http.StatusOK, "BilledCost")
}

// What is spent goes on as it has: ten of thirty days have cost 4 of 10 dollars.
func TestUsage_BudgetHasAForecast(t *testing.T) {
	w, b := usageWorld(t)
	b.wants("/usage?org=acme", http.StatusOK, "40 per cent", "About $12.00 by then", "used up at about", w.now.AddDate(0, 0, 15).Format("2006-01-02 15:04:05"), `class="ahead w60 high"`)
	body := b.wants("/usage?org=acme&model=m%2Fone", http.StatusOK)
	if strings.Contains(body, "per cent of the budget") {
		t.Error("the budget of the organisation is beside the cost of one model")
	}
}

// An organisation sees its own, whatever it asks for.
func TestUsage_OfACallerIsItsOwn(t *testing.T) {
	w, _ := usageWorld(t)
	day := w.now.Format(time.DateOnly)
	secret, _ := w.token("acme", "usage:read")
	c := w.browser(w.caller)
	c.signIn(secret)
	for _, path := range []string{"/usage?org=zoo&by=token&and=hour&day=" + day, "/usage?token=tok_zoo", "/requests?org=zoo&day=" + day, "/requests?token=tok_zoo&day=" + day, "/usage.csv?org=zoo&by=day&and=token"} {
		if body := c.wants(path, http.StatusOK); strings.Contains(body, "zoo-") || strings.Contains(body, "$24.00") && strings.Contains(path, "token=tok_zoo") || strings.Contains(body, ">zoo<") {
			t.Errorf("%s shows another organisation's", path)
		}
	}
}
