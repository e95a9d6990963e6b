//go:build linux

package chaos_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// checkBills holds all usage records against what the clients know. Every whole answer has one record that says the same to the microsecond and the nano-dollar; no
// request has two; what has failed costs nothing, unless its time limit has ended it; and what nobody has asked for is on no bill.
func (l *load) checkBills(t *testing.T) (records int) {
	t.Helper()
	var list []json.RawMessage
	s := l.site
	s.eventually(t, time.Minute, func() (err error) { // the last records of each server are on their way from its log
		if list, err = s.records(); err != nil {
			return err
		}
		known := map[string]bool{}
		for _, text := range list {
			var r struct {
				ID string `json:"request_id"`
			}
			if err := json.Unmarshal(text, &r); err != nil {
				return err
			}
			known[r.ID] = true
		}
		for _, o := range l.outcomes {
			if o.whole && !known[o.id] {
				return fmt.Errorf("%s was answered by %s at %v and has no record", o.id, o.light.name, o.ended.Format(time.TimeOnly))
			}
		}
		return nil
	})
	byID, cost := map[string]ledger.Record{}, fleet.NanoUSD(0)
	chains := map[string]ledger.Hash{} // of each, the last
	for _, text := range list {
		var r ledger.Record
		var said struct{ Hash ledger.Hash }
		must(t, json.Unmarshal(text, &r))
		must(t, json.Unmarshal(text, &said))
		if other, double := byID[r.RequestID]; double {
			t.Errorf("%s has two records, %s and %s", r.RequestID, other.ID, r.ID)
		}
		hash, err := ledger.HashOfJSON(text)
		if err != nil || hash != said.Hash || r.Previous != chains[r.Chain] {
			t.Errorf("record %s: got hash %s, %v behind %s, want %s behind %s", r.ID, hash, err, r.Previous, said.Hash, chains[r.Chain])
		}
		chains[r.Chain] = hash
		byID[r.RequestID] = r
		cost += r.Cost
	}
	for _, o := range l.outcomes {
		r, found := byID[o.id]
		delete(byID, o.id)
		kept := bill{r.Billed.Microseconds(), r.Cost}
		switch {
		case o.whole && kept != o.bill:
			t.Errorf("%s was told %+v, and its record says %+v", o.id, o.bill, kept)
		case o.whole && r.Status != ledger.Complete:
			t.Errorf("%s was answered whole, and its record says %s", o.id, r.Status)
		case found && o.code != "" && kept.Cost != 0 && r.Status != ledger.TimedOut:
			t.Errorf("%s has failed with %s, and its record says %s for %d nano-USD", o.id, o.code, r.Status, kept.Cost)
		}
	}
	for id, r := range byID {
		t.Errorf("%s has a record, %s, and no client has asked for it and got an end", id, r.ID)
	}
	usage, err := s.lights[0].Admin(s).Usage(t.Context(), admin.UsageQuery{})
	must(t, err)
	sum, requests := fleet.NanoUSD(0), int64(0)
	for _, u := range usage.Usage {
		sum, requests = sum+u.Cost, requests+u.Requests
	}
	if sum != cost || requests != int64(len(list)) {
		t.Errorf("usage sums up %d requests for %d nano-USD, want the records' %d for %d", requests, sum, len(list), cost)
	}
	return len(list)
}

// records gives the JSON of all records, oldest first.
func (s *site) records() (all []json.RawMessage, err error) {
	for cursor := ""; ; {
		var page struct {
			Records []json.RawMessage
			Next    *string `json:"next_cursor"`
		}
		if err := s.askLight(s.lights[0], "/api/usage/records?limit=1000&cursor="+url.QueryEscape(cursor), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Records...)
		if page.Next == nil {
			return all, nil
		}
		cursor = *page.Next
	}
}

// askLight asks a Pilotlight's admin API.
func (s *site) askLight(l *light, path string, answer any) error {
	r, err := http.NewRequest(http.MethodGet, l.admin+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	response, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
