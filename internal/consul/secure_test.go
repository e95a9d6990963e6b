//go:build unix

package consul_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/certs/certstest"
	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/secret"
)

// TestRealConsul_NeedsNoMoreThanItsPolicy has a Consul with ACLs and TLS, and a token with the published policy, or with a part of it.
func TestRealConsul_NeedsNoMoreThanItsPolicy(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Consul; not in short runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds it
	defer cancel()
	all, err := cluster.Start(ctx, cluster.Config{Nodes: 1, GPUs: 1, ACL: true, TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := all.Stop(); err != nil {
			t.Error(err)
		}
	})
	for name, value := range all.Environment() {
		if strings.HasPrefix(name, "CONSUL_") {
			t.Setenv(name, value)
		}
	}
	c := api.DefaultConfig()
	transport := c.Transport
	operator, err := api.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	s := &site{t: t, api: operator}
	s.register("blue", "a", "passing")
	text, err := os.ReadFile("../../nomad-jobs/policies/consul-pilotlight.hcl")
	if err != nil {
		t.Fatal(err)
	}
	whole := string(text)
	node := whole[strings.Index(whole, "node_prefix"):]
	needs := "needs the policy read on service pilotlight-engine and on nodes"
	for _, row := range []struct{ name, rules, told, logged string }{
		{"whole", whole, "a+", ""},
		{"no-node", strings.Replace(whole, node, "", 1), "…", needs},
		{"no-service", node, "…", needs},
	} {
		told, logged, err := ask(t, consul.Config{Token: secret.Fixed(token(t, operator, row.name, row.rules))})
		if err != nil || told != row.told || !strings.Contains(logged, row.logged) || row.logged == "" && logged != "" {
			t.Errorf("%s: told %q, logged %q, %v; want %q and %q", row.name, told, logged, err, row.told, row.logged)
		}
	}
	for _, row := range []struct{ right, says string }{
		{"", ""},
		{`service "pilotlight-server"`, "registering this server"},
		{"session_prefix", "making a session"},
		{"key_prefix", "the key pilotlight/blue/leader"},
	} {
		lockNeeds(t, token(t, operator, "lock-without-"+strings.Trim(strings.TrimPrefix(row.right, "service "), `"`), without(whole, row.right)), row.says)
	}
	if _, _, err := ask(t, consul.Config{Token: secret.Fixed("00000000-0000-0000-0000-000000000001")}); err == nil || !strings.Contains(err.Error(), "ACL not found") {
		t.Errorf("with an unknown token: got %v, want that it is unknown", err)
	}
	t.Setenv("CONSUL_CACERT", certstest.New(t).File)
	if _, _, err := ask(t, consul.Config{}); err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("with another CA: got %v, want that the certificate is by an unknown one", err)
	}
}

// without takes the block that begins so out of a policy; "" takes nothing out.
func without(policy, block string) string {
	if block == "" {
		return policy
	}
	from := strings.Index(policy, block)
	to := from + strings.Index(policy[from:], "\n}\n") + len("\n}\n")
	return policy[:from] + policy[to:]
}

// lockNeeds contends for the lock with a token: it is got, or it says what is refused.
func lockNeeds(t *testing.T, token, says string) {
	t.Helper()
	l, err := consul.NewLock(consul.LockConfig{Cluster: "blue", Server: "one", Token: secret.Fixed(token)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = l.Run(ctx) })
	c := &contender{Lock: l, t: t}
	s := c.until("holding the lock, or refused", func(s consul.Standing) bool {
		return s.Stage == consul.Holding || errors.Is(s.Trouble, fleet.ErrDenied)
	})
	cancel()
	running.Wait()
	if got := fmt.Sprint(s.Trouble); (s.Stage == consul.Holding) != (says == "") || says != "" && !strings.Contains(got, says) {
		t.Errorf("got %+v, want trouble with %q", s, says)
	}
}

// ask watches until something is told.
func ask(t *testing.T, cfg consul.Config) (told, logged string, err error) {
	t.Helper()
	var log bytes.Buffer
	cfg.Cluster, cfg.Settle, cfg.Log = "blue", settled, slog.New(slog.NewTextHandler(&log, nil))
	c, err := consul.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = c.Watch(ctx, func(o fleet.Observation) {
		told = short(o)
		cancel()
	})
	return told, log.String(), err
}

func token(t *testing.T, operator *api.Client, name, rules string) string {
	t.Helper()
	p, _, err := operator.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := operator.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{ID: p.ID}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return made.SecretID
}
