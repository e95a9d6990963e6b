package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// auditCmd shows who has changed what, or checks that the log of it is whole.
type auditCmd struct {
	Since   string `placeholder:"24h" help:"Only what was done since: a time span back from now, a day (UTC), or a moment in RFC 3339."`
	Actor   string `placeholder:"NAME" help:"Only what this admin token, or the organisation's token of this ID, has done."`
	Action  string `placeholder:"ACTION" help:"Only this, such as org.update, or org for whatever is done to organisations."`
	Subject string `placeholder:"KIND/NAME" help:"Only what was done to this, such as org/acme, or org for all organisations."`
	Limit   int    `default:"100" placeholder:"N" help:"Entries at most, the newest; 0 for all (default: 100)."`
	Verify  bool   `help:"Check that no entry was changed or taken out, and print the newest one's hash; the other flags select nothing then."`
	serverFlags
	jsonFlag
}

// Run prints entries, the newest first.
func (c auditCmd) Run(env *Env) error {
	q := admin.AuditQuery{Actor: c.Actor, Action: c.Action, Subject: c.Subject}
	if c.Limit < 0 {
		return fmt.Errorf("--limit is %d; write how many entries, or 0 for all", c.Limit)
	}
	var err error
	if q.From, err = sinceWhen(c.Since, env.Now()); err != nil {
		return err
	}
	client, err := c.client(env)
	if err != nil {
		return err
	}
	if c.Verify {
		return c.verify(env, client)
	}
	all := []audit.Entry{}
	err = eachEntry(env, client, q, func(e *audit.Entry) bool {
		all = append(all, *e)
		return c.Limit == 0 || len(all) < c.Limit
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, all)
	}
	t := newTable("ID", "WHEN", "WHO", "ACTION", "SUBJECT", "CHANGE", "FROM", "REQUEST")
	for _, e := range all {
		actor := e.Actor
		if e.Org != "" {
			actor += " of " + e.Org
		}
		t.row(e.ID, e.At.Format(time.RFC3339), actor, e.Action, e.Subject, changeText(&e), e.From, e.Request)
	}
	return t.write(env.Stdout)
}

// verify reads the whole log.
func (c auditCmd) verify(env *Env, client *admin.Client) error {
	var check audit.Checker
	if err := eachEntry(env, client, admin.AuditQuery{}, func(e *audit.Entry) bool { check.Add(e); return true }); err != nil {
		return err
	}
	check.End()
	if c.JSON {
		if err := writeJSON(env.Stdout, struct {
			Entries int64      `json:"entries"`
			Newest  audit.Hash `json:"newest"`
			Wrong   []string   `json:"wrong"`
		}{check.Entries, check.Newest, append([]string{}, check.Wrong...)}); err != nil {
			return err
		}
	} else {
		for _, wrong := range check.Wrong {
			fmt.Fprintln(env.Stdout, wrong)
		}
	}
	if n := len(check.Wrong); n > 0 {
		return fmt.Errorf("the audit log is not as it was kept, in %d places", n)
	}
	env.say("%d entries are as they were kept; the newest has the hash %s", check.Entries, check.Newest)
	return nil
}

// eachEntry hands f the entries that a query selects, the newest first, until it has enough.
func eachEntry(env *Env, client *admin.Client, q admin.AuditQuery, f func(*audit.Entry) bool) error {
	q.Limit = 1000
	for {
		page, err := client.Audit(env.ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Entries {
			if !f(&page.Entries[i]) {
				return nil
			}
		}
		if page.NextCursor == nil {
			return nil
		}
		q.Cursor = *page.NextCursor
	}
}

// sinceWhen reads a time span back from now, a day or a moment, for the API.
func sinceWhen(text string, now time.Time) (string, error) {
	if text == "" {
		return "", nil
	}
	if span, err := fleet.ParseDuration(text); err == nil {
		return now.Add(-span).UTC().Format(time.RFC3339Nano), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if _, err := time.Parse(layout, text); err == nil {
			return text, nil
		}
	}
	return "", fmt.Errorf("--since is %q; write a time span such as 24h or 7d, a day such as 2026-03-01, or a moment in RFC 3339", text)
}

// changeText says in one line what an entry has changed, or why it has not.
func changeText(e *audit.Entry) string {
	if e.Error != "" {
		return "failed: " + e.Error
	}
	var parts []string
	for _, side := range []struct {
		sign  string
		value json.RawMessage
	}{{"-", e.Before}, {"+", e.After}} {
		if text := string(side.value); text != "null" && text != "{}" {
			parts = append(parts, side.sign+text)
		}
	}
	return strings.Join(parts, " ")
}
