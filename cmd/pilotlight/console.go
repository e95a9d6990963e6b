package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/console"
	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// consoleScope is where the store keeps the key that seals what browsers keep, so that a restart signs nobody out.
const consoleScope = "console"

func (s *server) openConsole(ctx context.Context) error {
	key, err := s.consoleKey(ctx)
	if err != nil {
		return err
	}
	base, client := baseOf(s.c.API, s.c.Certs.api), ownClient(s.c.Certs.api)
	s.began = s.c.Now()
	if s.hostName, err = os.Hostname(); err != nil {
		return fmt.Errorf("naming this server: %w", err)
	}
	s.console, err = console.New(console.Config{
		Fleet: s.fleet(), Tenants: s.tenants, Ledger: s.ledger, Audit: s.audit, Key: key, API: base + "/v1", Admins: s.c.Admins,
		Price: func() fleet.NanoUSD { return s.router.Price() },
		Chat: func(ctx context.Context, secret string, body []byte) (*console.Answer, error) {
			return chat(ctx, client, base, secret, body)
		},
		Pools:  pools{s.tuning, s.whatIf},
		Series: s.series,
		Budget: s.budgetShown, Servers: s.serversShown,
		Version: readVersion().Version, Now: s.c.Now, Log: s.log("console"),
	})
	return err
}

// serversShown is what the console shows of the cluster's servers: this one, for those that wait serve no console.
func (s *server) serversShown() []console.Server {
	standing := s.standing()
	one := console.Server{
		Name: s.hostName, Version: readVersion().Version, Term: s.term(), Standing: "leads", Since: s.began, Lost: strings.Join(s.degraded(), "; "),
	}
	if !standing.Since.IsZero() {
		one.Since = standing.Since
	}
	if standing.Stage == consul.Waiting {
		one.Standing = "follows"
	}
	if standing.Stage == consul.Unsure || standing.Stage == consul.Taken {
		one.Standing = "unsure"
	}
	return []console.Server{one}
}

// pools is what the console asks of pools.
type pools struct {
	*tuning
	*asking
}

// Values gives what a pool is tuned to.
func (p pools) Values(name string) map[string]string {
	tuned := map[string]string{}
	for _, t := range p.tuning.Tuned(name) {
		tuned[t.Key] = t.Value
	}
	return tuned
}

// budgetShown is what the console shows of an organisation's budget.
func (s *server) budgetShown(org string) (console.Budget, bool) {
	b, ok := s.accounts.Balance(org, "")
	if !ok {
		return console.Budget{}, false
	}
	begins, _ := b.Window(s.c.Now())
	return console.Budget{Period: b.Period, Limit: b.Now, Spent: b.Spent, Left: b.Left(), Begins: begins, Resets: b.Resets, Soft: b.Soft}, true
}

// consoleKey gives the key of the store, which is made where there is none.
func (s *server) consoleKey(ctx context.Context) (key [32]byte, err error) {
	kept, err := s.store.Settings(ctx, consoleScope)
	if err != nil {
		return key, err
	}
	if b, err := hex.DecodeString(kept["key"]); err == nil && len(b) == len(key) {
		return [32]byte(b), nil
	}
	_, _ = rand.Read(key[:]) // it never fails
	return key, s.store.SaveSetting(ctx, consoleScope, "key", hex.EncodeToString(key[:]))
}

// chat asks the public API on the console's behalf. An answer may take as long as it wants.
func chat(ctx context.Context, client *http.Client, base, secret string, body []byte) (*console.Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the public API: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking the public API: %w", err)
	}
	return &console.Answer{Status: answer.StatusCode, ContentType: answer.Header.Get("Content-Type"), Body: answer.Body}, nil
}
