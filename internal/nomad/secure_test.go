//go:build unix

package nomad_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/certs/certstest"
	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
	"github.com/pilotlight-io/pilotlight/internal/secret"
	nomadjobs "github.com/pilotlight-io/pilotlight/nomad-jobs"
)

// TestNomad_NeedsNoMoreThanItsPolicy has a cluster with ACLs and TLS, and a token that has the published policy, or all of it but one right.
func TestNomad_NeedsNoMoreThanItsPolicy(t *testing.T) {
	w := begin(t, cluster.Config{Nodes: 1, GPUs: 8, ACL: true, TLS: true})
	w.cfg.Models = simulated(t)
	for name, value := range w.cluster.Environment() {
		if strings.HasPrefix(name, "NOMAD_") {
			t.Setenv(name, value)
		}
	}
	w.cfg.Addr = ""
	w.engines()
	whole := policy(t, "nomad-pilotlight")
	w.cfg.Token = secret.Fixed(w.token("whole", whole))
	w.Nomad = w.backend(nil)
	w.mayFence(whole)
	w.watch(w.Nomad, w.said)
	w.act(fleet.ActLaunch, "i1", "org/one")
	answers(t, w.until("i1 to be placed", "i1", placed).Addr)

	w.poor(whole)
	w.mayReadItsSecrets()
	w.mayRunSlots(whole)
	w.act(fleet.ActStop, "i1", "org/one")
	w.until("i1 to be gone", "i1", gone)

	stranger := w.backend(func(c *nomad.Config) { c.Token = secret.Fixed("00000000-0000-0000-0000-000000000000") })
	if err := refused(t, stranger); !strings.Contains(err, "or does not exist") && !strings.Contains(err, "ACL token not found") {
		t.Errorf("with an unknown token: got %s, want that it may be unknown", err)
	}
	t.Setenv("NOMAD_CACERT", certstest.New(t).File)
	if err := refused(t, w.backend(nil)); !strings.Contains(err, "certificate signed by unknown authority") {
		t.Errorf("with another CA: got %s, want that the certificate is by an unknown one", err)
	}
}

// policy is a published one.
func policy(t *testing.T, name string) string {
	t.Helper()
	text, err := fs.ReadFile(nomadjobs.Files, "policies/"+name+".hcl")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// engines gives the engines of the namespace their published policy.
func (w *world) engines() {
	w.t.Helper()
	p := &api.ACLPolicy{Name: "engines", Rules: policy(w.t, "nomad-engines"), JobACL: &api.JobACL{Namespace: "default"}}
	if _, err := w.client.ACLPolicies().Upsert(p, nil); err != nil {
		w.t.Fatal(err)
	}
}

// token makes one that has a policy.
func (w *world) token(name, rules string) string {
	w.t.Helper()
	if _, err := w.client.ACLPolicies().Upsert(&api.ACLPolicy{Name: name, Rules: rules}, nil); err != nil {
		w.t.Fatalf("%v in %s", err, rules)
	}
	token, _, err := w.client.ACLTokens().Create(&api.ACLToken{Name: name, Type: "client", Policies: []string{name}}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return token.SecretID
}

// mayFence has the world's back end take charge, which another right allows.
func (w *world) mayFence(whole string) {
	w.t.Helper()
	for _, row := range []struct{ name, without, want string }{
		{"no-fence", `"read", "write"`, "read of the variable " + nomad.FencePath("test")},
		{"no-fence-write", `, "write"`, "write of the variable " + nomad.FencePath("test")},
	} {
		rules := strings.Replace(whole, row.without, "", 1)
		token := w.token(row.name, rules)
		poor := w.backend(func(c *nomad.Config) { c.Token = secret.Fixed(token) })
		err := poor.Fence(w.t.Context(), 1)
		if rules == whole || !errors.Is(err, fleet.ErrDenied) || !strings.Contains(err.Error(), row.want) {
			w.t.Errorf("%s: got %v, want that it is denied the %s", row.name, err, row.want)
		}
	}
	if err := w.Fence(w.t.Context(), 1); err != nil {
		w.t.Error(err)
	}
}

// mayReadItsSecrets runs an engine that has secrets: that takes the engines' policy, not ours.
func (w *world) mayReadItsSecrets() {
	w.t.Helper()
	variable := &api.Variable{Namespace: "default", Path: "pilotlight/engine", Items: api.VariableItems{"HF_TOKEN": `hf "1"`}}
	if _, _, err := w.client.Variables().Create(variable, nil); err != nil {
		w.t.Fatal(err)
	}
	m := w.secretive()
	n := w.backend(nil)
	for _, kind := range []fleet.ActKind{fleet.ActLaunch, fleet.ActStop} {
		if err := n.Do(w.t.Context(), fleet.Act{Kind: kind, Instance: "s1", Model: m.ID}); err != nil {
			w.t.Fatal(err)
		}
		if kind == fleet.ActLaunch {
			w.seen(nomad.JobName("test", m.ID, "s1"), "default")
		}
	}
}

// mayRunSlots runs a slot, whose supervisor tells Consul of its engines. That takes its key, which is ours to read too, and a token of Consul's.
func (w *world) mayRunSlots(whole string) {
	w.t.Helper()
	m := &fleet.Model{ID: "org/pooled", GPUs: 1, Pool: "p", Endpoints: []fleet.Endpoint{fleet.EndpointChat}, MaxConcurrency: 4, Engine: fleet.EngineSpec{
		Kind: fleet.EngineSim, Driver: "raw_exec", Memory: 1 << 28, CPU: 200, Args: []string{"--sim-speed", "1000"},
	}}
	w.key(w.consulItems())
	pooled := func(c *nomad.Config) { c.Models, c.Pools, c.Self = []*fleet.Model{m}, ofTwo(), program(w.t) }
	own := &world{t: w.t, client: w.client, cfg: w.cfg, said: make(chan fleet.Observation, 1000), log: w.log}
	own.Nomad = own.backend(pooled)
	defer own.follow(own.Nomad)()

	rules := regexp.MustCompile(`(?s)  variables \{.*?\n  \}\n`).ReplaceAllString(whole, "")
	token := w.token("no-variables", rules)
	poor := w.backend(func(c *nomad.Config) { pooled(c); c.Token = secret.Fixed(token) })
	err := poor.Do(w.t.Context(), fleet.Act{Kind: fleet.ActAddSlot, Pool: "p", Slot: "s1", GPUs: 2})
	if rules == whole || err == nil || !strings.Contains(err.Error(), "the token lacks the right read of the variable "+nomad.KeyPath) {
		w.t.Errorf("without the right to read the key: got %v, want that it is missing", err)
	}
	own.in(1, fleet.ActAddSlot, "s1", "", "", 2)
	own.slotIs("s1 to be there", "s1", func(s *fleet.Slot) bool { return s != nil && !s.Pending })
	own.in(2, fleet.ActLaunch, "s1", "p1", m.ID, 1)
	own.until("p1 to be ready", "p1", inState(fleet.Ready))
	w.eventually("Consul to list p1 as passing", func() bool {
		var entries []struct {
			Service struct{ Meta map[string]string }
		}
		w.askConsul(http.MethodGet, "/v1/health/service/pilotlight-engine?passing", nil, &entries)
		return slices.ContainsFunc(entries, func(e struct {
			Service struct{ Meta map[string]string }
		},
		) bool {
			return e.Service.Meta["pilotlight_instance"] == "p1"
		})
	})
	own.in(3, fleet.ActDropSlot, "s1", "", "", 2)
	own.slotIs("s1 to be gone", "s1", absent)
}

// consulItems are what a supervisor needs to be let in by its Consul agent: the published policy, and certificates.
func (w *world) consulItems() api.VariableItems {
	w.t.Helper()
	w.askConsul(http.MethodPut, "/v1/acl/policy", map[string]string{"Name": "slots", "Rules": policy(w.t, "consul-slot")}, nil)
	var token struct{ SecretID string }
	w.askConsul(http.MethodPut, "/v1/acl/token", map[string]any{"Policies": []map[string]string{{"Name": "slots"}}}, &token)
	return api.VariableItems{
		"CONSUL_HTTP_TOKEN": token.SecretID, "CONSUL_HTTP_ADDR": w.cluster.Nodes[0].Consul.Addr,
		"CONSUL_CACERT": w.cluster.TLS.CA, "CONSUL_CLIENT_CERT": w.cluster.TLS.Cert, "CONSUL_CLIENT_KEY": w.cluster.TLS.Key,
	}
}

// askConsul asks the Consul server as somebody who may do everything.
func (w *world) askConsul(method, path string, question, answer any) {
	w.t.Helper()
	body, err := json.Marshal(question)
	if err != nil {
		w.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.cluster.Consul.Addr+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("X-Consul-Token", w.cluster.Token)
	config := new(tls.Config)
	cert, err := tls.LoadX509KeyPair(w.cluster.TLS.Cert, w.cluster.TLS.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	ca, err := os.ReadFile(w.cluster.TLS.CA)
	if err != nil {
		w.t.Fatal(err)
	}
	config.Certificates, config.RootCAs = []tls.Certificate{cert}, x509.NewCertPool()
	config.RootCAs.AppendCertsFromPEM(ca)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("asking Consul for %s: %v, %s: %s", path, err, response.Status, text)
	}
	if answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			w.t.Fatal(err)
		}
	}
}

// poor takes one right after another away: each is needed, and each is named.
func (w *world) poor(whole string) {
	w.t.Helper()
	for _, row := range []struct{ name, without, want string }{
		{"no-list-jobs", `"list-jobs", `, "the token lacks the right list-jobs in the namespace"},
		{"no-read-job", `"read-job", `, "the token lacks the right read-job in the namespace"},
		{"no-submit-job", `, "submit-job"`, "the token lacks the right submit-job in the namespace"},
		{"no-node", whole[strings.Index(whole, "node {"):], `the token lacks the right node { policy = "read" }`},
	} {
		rules := strings.Replace(whole, row.without, "", 1)
		if rules == whole {
			w.t.Fatalf("the policy has no %s", row.without)
		}
		token := w.token(row.name, rules)
		n := w.backend(func(c *nomad.Config) { c.Token = secret.Fixed(token) })
		var said []string
		if row.name == "no-submit-job" {
			err := n.Do(w.t.Context(), fleet.Act{Kind: fleet.ActLaunch, Instance: "i2", Model: "org/one"})
			stop := n.Do(w.t.Context(), fleet.Act{Kind: fleet.ActStop, Instance: "i1", Model: "org/one"})
			if err == nil || stop == nil {
				w.t.Fatalf("without %s: launch %v, stop %v; want both refused", row.name, err, stop)
			}
			said = append(said, err.Error(), stop.Error())
		} else {
			said = append(said, refused(w.t, n))
		}
		for _, text := range said {
			if !strings.Contains(text, row.want) {
				w.t.Errorf("%s: got %s, want %s", row.name, text, row.want)
			}
		}
	}
}

// refused gives what Watch returns with a token, or a certificate, that does not do.
func refused(t *testing.T, n *nomad.Nomad) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := n.Watch(ctx, func(fleet.Observation) {})
	if err == nil || ctx.Err() != nil {
		t.Fatalf("watching goes on until %v, want it to be refused", err)
	}
	return err.Error()
}
