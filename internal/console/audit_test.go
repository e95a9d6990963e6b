package console_test

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/console"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

var (
	forms   = regexp.MustCompile(`(?s)<form[^>]* method="post" action="([^"]*)"[^>]*>(.*?)</form>`)
	fields  = regexp.MustCompile(`<(input|button)([^>]*)>`)
	choices = regexp.MustCompile(`(?s)<select[^>]* name="([^"]*)"[^>]*>.*?<option[^>]*>([^<]*)<`)
	attrs   = regexp.MustCompile(`([a-z]+)(?:="([^"]*)")?`)
)

// form is one of a page, filled in as it comes; of several buttons, the first is pressed.
type form struct {
	path   string
	values url.Values
}

func formsOf(page string) (all []form) {
	for _, found := range forms.FindAllStringSubmatch(page, -1) {
		f := form{html.UnescapeString(found[1]), url.Values{}}
		pressed := false
		for _, field := range fields.FindAllStringSubmatch(found[2], -1) {
			has := map[string]string{}
			for _, a := range attrs.FindAllStringSubmatch(field[2], -1) {
				has[a[1]] = html.UnescapeString(a[2])
			}
			_, checked := has["checked"]
			if has["name"] == "" || has["type"] == "checkbox" && !checked || field[1] == "button" && pressed {
				continue
			}
			pressed = pressed || field[1] == "button"
			f.values.Add(has["name"], has["value"])
		}
		for _, choice := range choices.FindAllStringSubmatch(found[2], -1) {
			if !f.values.Has(choice[1]) {
				f.values.Add(choice[1], html.UnescapeString(choice[2]))
			}
		}
		all = append(all, f)
	}
	return all
}

// changesNothing are the forms that change nothing of the server's.
var changesNothing = []string{"/signin", "/signout", "/payer", "/chat", "/pools/what-if"}

func (w *world) entries(q audit.Query) []audit.Entry {
	w.t.Helper()
	page, _, err := w.audit.List(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return page
}

// TestAudit_EveryFormLeavesAnEntry: each form of each page is sent as an operator has it, and as a caller.
func TestAudit_EveryFormLeavesAnEntry(t *testing.T) {
	w := newWorld(t)
	_, token := w.token("acme", tenant.ScopeInference)
	secret, own := w.token("acme", tenant.Scopes()...)
	w.fleet.waiting = []fleet.Waiting{{Model: "m/one", Org: "acme", Request: "r-1", Place: 1, Since: w.now}}
	sent := map[string]bool{} // form's path without names
	for who, signIn := range map[string]string{"root": adminToken, own.ID: secret} {
		b := w.browser(w.operator)
		b.signIn(signIn)
		for _, path := range []string{"/", "/model/m/one", "/tokens", "/usage", "/requests", "/invoices", "/queue", "/fleet", "/activations", "/pools", "/audit", "/kit"} {
			page := b.get(path)
			if page.status != http.StatusOK {
				continue // not for callers
			}
			for _, f := range formsOf(page.body) {
				kind := w.send(b, who, f)
				sent[kind] = true
			}
		}
	}
	for _, path := range console.PostPaths() {
		if kind := kindOf(path); !sent[kind] && !slices.Contains(changesNothing, kind) {
			t.Errorf("no form was sent to %s, of %v", path, slices.Sorted(maps.Keys(sent)))
		}
	}
	if got := w.entries(audit.Query{Subject: "token/" + token.ID}); len(got) == 0 {
		t.Errorf("revoking the token is not in the log")
	}
}

// kindOf is a path without what a form fills in.
func kindOf(path string) string {
	if strings.HasSuffix(path, "/revoke") {
		return "/tokens/revoke"
	}
	if strings.HasSuffix(path, "/what-if") {
		return "/pools/what-if"
	}
	return "/" + strings.Split(path, "/")[1]
}

// send sends a form, changed where it would change nothing else, and wants an entry of it.
func (w *world) send(b *browser, who string, f form) (kind string) {
	w.t.Helper()
	if kind = kindOf(f.path); slices.Contains(changesNothing, kind) {
		return kind
	}
	if kind == "/pools" {
		f.values.Del("reset")
		f.values.Set("slot_idle", "1m")
		f.values.Set("confirm", "yes")
	}
	if kind == "/tokens" && who != "root" {
		f.values.Set("scopes", "inference")
	}
	if strings.Contains(f.path, strings.TrimPrefix(who, "root")) && who != "root" {
		return kind // revoking the own token would end the walk
	}
	before := w.entries(audit.Query{Limit: 1})
	got := b.do(http.MethodPost, f.path, f.values, "X-Request-Id", "r-of-"+who)
	after := w.entries(audit.Query{Limit: 1})
	if got.status >= 400 {
		w.t.Errorf("%s of %s with %v: got %d\n%s", f.path, who, f.values, got.status, got.body)
	}
	if len(after) == 0 || len(before) > 0 && after[0].ID == before[0].ID {
		w.t.Errorf("%s of %s: there is no entry of it", f.path, who)
		return kind
	}
	org := ""
	if who != "root" {
		org = "acme"
	}
	if e := after[0]; e.Actor != who || e.Org != org || e.Via != audit.Console || e.Request != "r-of-"+who || e.From == "" || e.Error != "" || e.Subject == "" {
		w.t.Errorf("%s of %s: got %+v", f.path, who, e)
	}
	return kind
}

// TestAudit_WhatFails is there of an operator, and not of callers, who could fill the log.
func TestAudit_WhatFails(t *testing.T) {
	w := newWorld(t)
	secret, _ := w.token("acme", tenant.Scopes()...)
	for signIn, want := range map[string]int{adminToken: 5, secret: 0} {
		before := len(w.entries(audit.Query{}))
		b := w.browser(w.operator)
		b.signIn(signIn)
		b.do(http.MethodPost, "/tokens", url.Values{"org": {"acme"}, "scopes": {"inference"}, "rpm": {"many"}})
		b.do(http.MethodPost, "/tokens/tok_none/revoke", nil)
		b.do(http.MethodPost, "/queue", url.Values{"action": {"end"}, "model": {"m/one"}, "org": {"nobody"}})
		b.do(http.MethodPost, "/hold/m/one", url.Values{"for": {"ever"}})
		b.do(http.MethodPost, "/stop/m/none", nil)
		entries := w.entries(audit.Query{})
		if got := len(entries) - before; got != want {
			t.Errorf("got %d entries, want %d: %+v", got, want, entries)
		}
		for _, e := range entries {
			if e.Error == "" {
				t.Errorf("got %+v, want why it failed", e)
			}
		}
	}
	// What is only shown to be confirmed is not done yet.
	before := len(w.entries(audit.Query{}))
	b := w.browser(w.operator)
	b.signIn(adminToken)
	b.do(http.MethodPost, "/pools/h100", url.Values{"slot_idle": {"1m"}})
	if got := len(w.entries(audit.Query{})); got != before {
		t.Errorf("got %d entries of a change that waits to be confirmed", got-before)
	}
}

// TestAuditPage shows what was, what is and why not, filters, goes on, and says so where nothing is.
func TestAuditPage(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.operator)
	b.signIn(adminToken)
	if got := b.get("/audit"); !strings.Contains(got.body, "Nothing has been done yet") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	for i := range 101 {
		a := &audit.Act{Who: audit.Who{Actor: "root", Via: audit.API, From: "192.0.2.7", Request: fmt.Sprintf("r-%d", i)}, Action: "org.update"}
		a.On("org/acme")
		a.Changes(map[string]any{"rpm": i, "models": []string{}}, map[string]any{"rpm": i + 1, "models": []string{"m/<one>"}})
		w.audit.End(t.Context(), a, "")
	}
	failed := &audit.Act{Who: audit.Who{Actor: "tok_1", Org: "zoo"}, Action: "token.create"}
	failed.On("token/x")
	w.audit.End(t.Context(), failed, "there is no <script>")
	got := b.get("/audit")
	for _, want := range []string{"rpm: <del>100</del> → <ins>101</ins>", "models: <del>none</del> → <ins>m/&lt;one&gt;</ins>", "tok_1", "of zoo", "there is no &lt;script&gt;", "192.0.2.7", "r-100", "cursor=3"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page has no %q:\n%s", want, got.body)
		}
	}
	if got := b.get("/audit?cursor=3"); !strings.Contains(got.body, "r-1<") || strings.Contains(got.body, "r-2<") {
		t.Errorf("older: got\n%s", got.body)
	}
	if got := b.get("/audit?actor=tok_1&subject=token&action=token&from=2020-01-01&to=2999-01-01"); !strings.Contains(got.body, "zoo") || strings.Contains(got.body, "<code>org.update") {
		t.Errorf("filtered: got\n%s", got.body)
	}
	if got := b.get("/audit?actor=nobody"); !strings.Contains(got.body, "Nothing fits") {
		t.Errorf("nothing: got\n%s", got.body)
	}
	for _, query := range []string{"cursor=x", "from=yesterday"} {
		if got := b.get("/audit?" + query); got.status != http.StatusBadRequest {
			t.Errorf("%s: got %d", query, got.status)
		}
	}
}
