package consul_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/secret"
)

// reply is one answer of a fake Consul. Its zero value for a header is what a healthy one sends.
type reply struct {
	index    int
	body     string // "" = []
	status   int    // 0 = 200
	leader   string // "" = true
	filtered bool
	streamed bool
	hang     bool // until the client leaves
}

// script is a fake Consul that gives its replies in turn, and blocks when it has none left, as one with no news does.
type script struct {
	t       *testing.T
	mu      sync.Mutex // guards the rest
	replies []reply
	asked   []string // the index of each query
	tokens  []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Query().Get("index"))
	s.tokens = append(s.tokens, r.Header.Get("X-Consul-Token"))
	if r.URL.Path != "/v1/health/service/pilotlight-engine" || r.URL.Query().Has("passing") {
		s.t.Errorf("asked %s, want all instances of the one service", r.URL)
	}
	var a reply
	if len(s.replies) == 0 {
		a.hang = true
	} else {
		a, s.replies = s.replies[0], s.replies[1:]
	}
	s.mu.Unlock()
	if a.hang {
		<-r.Context().Done()
		return
	}
	h := w.Header()
	if a.index > 0 {
		h.Set("X-Consul-Index", strconv.Itoa(a.index))
	}
	if a.leader == "" {
		a.leader = "true"
	}
	h.Set("X-Consul-KnownLeader", a.leader)
	h.Set("X-Consul-LastContact", "0")
	if a.streamed {
		h.Set("X-Consul-Query-Backend", "streaming")
	}
	if a.filtered {
		h.Set("X-Consul-Results-Filtered-By-ACLs", "true")
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	if a.body == "" {
		a.body = "[]"
	}
	fmt.Fprint(w, a.body)
}

// entry is one entry of ours with one check.
func entry(instance, status string) string {
	return foreign("blue", instance, status)
}

func foreign(cluster, instance, status string) string {
	b, _ := json.Marshal(map[string]any{
		"Node": map[string]any{"Node": "n1", "Address": "10.0.0.1"},
		"Service": map[string]any{
			"ID": "s-" + instance, "Port": 7000,
			"Meta": map[string]string{"pilotlight_cluster": cluster, "pilotlight_model": "m", "pilotlight_instance": instance},
		},
		"Checks": []map[string]any{{"CheckID": "serfHealth", "Status": "passing"}, {"CheckID": "c", "Status": status}},
	})
	return string(b)
}

func list(entries ...string) string { return "[" + strings.Join(entries, ",") + "]" }

// watch runs the script to its end, or to Watch's, and gives what was told in short: "a+ b-" for a passing and b critical, "…" before an incomplete one.
func (s *script) watch(t *testing.T, cfg consul.Config, replies ...reply) ([]string, error) {
	t.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	cfg.Addr, cfg.Cluster = server.URL, "blue"
	c, err := consul.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s.again(t, c, replies...)
}

func (s *script) again(t *testing.T, c *consul.Consul, replies ...reply) ([]string, error) {
	s.mu.Lock()
	s.replies = replies
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var told []string
	err := c.Watch(ctx, func(o fleet.Observation) {
		if o.Source != "consul" || len(o.Nodes)+len(o.Slots) > 0 || o.At.IsZero() {
			t.Errorf("told %+v, want an observation of consul about instances, with its time", o)
		}
		told = append(told, short(o))
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.replies) == 0 {
			cancel()
		}
	})
	return told, err
}

func short(o fleet.Observation) string {
	words := map[fleet.Health]string{fleet.Passing: "+", fleet.Critical: "-"}
	if o.Lost != nil {
		return "lost"
	}
	var out []string
	if !o.Complete {
		out = append(out, "…")
	}
	for _, s := range o.Instances {
		out = append(out, s.ID+words[s.Health])
	}
	return strings.Join(out, " ")
}

func want(t *testing.T, told []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// settled makes a first watch believed at once.
const settled = time.Nanosecond

func TestWatch_TellsEachInstanceWithItsHealthAndAddress(t *testing.T) {
	s := &script{t: t}
	server := httptest.NewServer(s)
	defer server.Close()
	c, err := consul.New(consul.Config{Addr: server.URL, Cluster: "blue", Settle: settled})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s.replies = []reply{{index: 5, body: list(entry("a", "passing"), entry("b", "critical"), entry("c", "warning"), foreign("green", "d", "passing"))}}
	var got fleet.Observation
	if err := c.Watch(ctx, func(o fleet.Observation) { got = o; cancel() }); err != nil {
		t.Errorf("got %v, want nil at the end of the context", err)
	}
	at := func(id string, h fleet.Health, p fleet.Phase) fleet.Sighting {
		return fleet.Sighting{Instance: fleet.Instance{ID: id, Model: "m", Addr: "10.0.0.1:7000"}, Health: h, Phase: p, Running: -1}
	}
	want := []fleet.Sighting{at("a", fleet.Passing, fleet.PhaseReady), at("b", fleet.Critical, ""), at("c", fleet.Passing, fleet.PhaseReady)}
	if diff := cmp.Diff(want, got.Instances); diff != "" || !got.Complete {
		t.Errorf("complete: %v; instances (-want +got):\n%s", got.Complete, diff)
	}
}

func TestWatch_FollowsTheIndexAndAsksAnewWhenItRunsBackwards(t *testing.T) {
	s := &script{t: t}
	told, err := s.watch(t, consul.Config{Settle: time.Minute},
		reply{index: 7, body: list(entry("a", "passing"))},
		reply{index: 9, body: list(entry("a", "passing"), entry("b", "passing"))},
		reply{index: 3, body: list()}, // not told: the agent may hang on the old index
		reply{index: 3, body: list()},
		reply{index: 4, body: list(entry("a", "passing"))},
		reply{index: 5, body: list(entry("b", "critical"), entry("a", "passing"))},
		reply{index: 6, body: list(entry("a", "passing"), entry("b", "passing"))},
		reply{index: 8, body: list(entry("b", "passing"))},
	)
	if err != nil {
		t.Error(err)
	}
	want(t, told, "… a+", "a+ b+", "…", "… a+", "… a+", "a+ b+", "b+")
	if diff := cmp.Diff([]string{"", "7", "9", "", "3", "4", "5", "6"}, s.asked[:8]); diff != "" {
		t.Errorf("indices asked for (-want +got):\n%s", diff)
	}
}

func TestWatch_SaysNothingBadOfAnInstanceBeforeItsFirstCheck(t *testing.T) {
	s := &script{t: t}
	told, err := s.watch(t, consul.Config{Settle: time.Minute},
		reply{index: 5, body: list(entry("a", "passing"))},
		reply{index: 6, body: list(entry("a", "passing"), entry("b", "critical"))},
		reply{index: 7, body: list(entry("a", "passing"), entry("b", "passing"))},
		reply{index: 8, body: list(entry("a", "passing"), entry("b", "critical"))},
		reply{index: 9, body: list(entry("a", "passing"), entry("b", "critical"))},
	)
	if err != nil {
		t.Error(err)
	}
	want(t, told, "… a+", "a+", "a+ b+", "a+ b-", "a+ b-")
}

func TestWatch_BelievesBadNewsAfterABreakOnceTheGoodOnesAreBack(t *testing.T) {
	s := &script{t: t}
	server := httptest.NewServer(s)
	defer server.Close()
	c, err := consul.New(consul.Config{Addr: server.URL, Cluster: "blue", Settle: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	told, err := s.again(t, c, reply{index: 5, body: list(entry("a", "passing"))}, reply{index: 6, body: list(entry("a", "passing"))}, reply{index: 7, status: 500, body: "No cluster leader"})
	if err == nil || !strings.Contains(err.Error(), "No cluster leader") {
		t.Errorf("got %v, want what Consul said", err)
	}
	want(t, told, "… a+", "a+", "lost")
	told, err = s.again(t, c, reply{index: 5}, reply{index: 6, body: list(entry("a", "critical"))}, reply{index: 7, body: list(entry("a", "passing"))}, reply{index: 8})
	if err != nil {
		t.Error(err)
	}
	want(t, told, "…", "…", "a+", "")
}

func TestWatch_BelievesBadNewsAfterABreakOnceTheTimeIsOver(t *testing.T) {
	s := &script{t: t}
	told, err := s.watch(t, consul.Config{Settle: 150 * time.Millisecond},
		reply{index: 5, body: list(entry("a", "critical"))},
		reply{index: 5, body: list(entry("a", "critical"))}, // these come in a hurry: each waits 100 ms
		reply{index: 5, body: list(entry("a", "critical"))},
		reply{index: 5, body: list(entry("a", "critical"))})
	if err != nil {
		t.Error(err)
	}
	if told[0] != "…" || told[len(told)-1] != "a-" {
		t.Errorf("told %q, want nothing bad first, and a- in the end", told)
	}
}

func TestWatch_DoubtfulAnswersSayNothingBad(t *testing.T) {
	good := list(entry("a", "passing"), entry("b", "critical"))
	noMeta := `{"Service":{"ID":"x","Meta":{"pilotlight_cluster":"blue"},"Address":"10.0.0.2","Port":1}}`
	noPort := strings.Replace(entry("c", "passing"), "7000", "0", 1)
	nullCheck := strings.Replace(entry("c", "passing"), `"Checks":[`, `"Checks":[null,`, 1)
	for name, r := range map[string]reply{
		"no leader":            {leader: "false", body: good},
		"filtered by rights":   {filtered: true, body: good},
		"null entry":           {body: list("null", entry("a", "passing"), entry("b", "critical"))},
		"entry without parts":  {body: list("{}", entry("a", "passing"), entry("b", "critical"))},
		"ours, without a name": {body: list(noMeta, entry("a", "passing"), entry("b", "critical"))},
		"ours, without a port": {body: list(noPort, entry("a", "passing"), entry("b", "critical"))},
		"ours, null check":     {body: list(nullCheck, entry("a", "passing"), entry("b", "critical"))},
	} {
		t.Run(name, func(t *testing.T) {
			r.index = 8
			s := &script{t: t}
			told, err := s.watch(t, consul.Config{Settle: settled}, reply{index: 7, body: good}, r, reply{index: 9, body: good})
			if err != nil {
				t.Error(err)
			}
			want(t, told, "a+ b-", "… a+", "a+ b-")
		})
	}
}

func TestWatch_SaysThatConsulIsLostWhenTheAnswerMakesNoSense(t *testing.T) {
	for name, r := range map[string]reply{
		"no index":      {body: list()},
		"cut short":     {index: 8, body: `[{"Service":`},
		"not JSON":      {index: 8, body: "<html>"},
		"no list":       {index: 8, body: `{"a":1}`},
		"forbidden":     {index: 8, status: 403, body: "Permission denied"},
		"too many":      {index: 8, status: 429, body: "Your IP is issuing too many concurrent connections"},
		"never answers": {hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{t: t}
			told, err := s.watch(t, consul.Config{Settle: settled, Wait: 200 * time.Millisecond}, reply{index: 7, body: list(entry("a", "passing"))}, r, reply{index: 9})
			if err == nil {
				t.Error("got nil, want an error")
			}
			want(t, told, "a+", "lost")
		})
	}
}

func TestWatch_ARefusedTokenIsToldFromAnOutage(t *testing.T) {
	s := &script{t: t}
	if _, err := s.watch(t, consul.Config{}, reply{status: 403, body: "ACL not found"}); !errors.Is(err, fleet.ErrDenied) || errors.Is(err, fleet.ErrUnreachable) {
		t.Errorf("got %v, want %v", err, fleet.ErrDenied)
	}
}

func TestWatch_AStreamedAnswerNeedsNoLeader(t *testing.T) {
	s := &script{t: t}
	told, err := s.watch(t, consul.Config{Settle: settled}, reply{index: 7, leader: "false", streamed: true, body: list(entry("b", "critical"))})
	if err != nil {
		t.Error(err)
	}
	want(t, told, "b-")
}

func TestWatch_ReturnsAnErrorWhenNobodyListens(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c, err := consul.New(consul.Config{Addr: server.URL, Cluster: "blue"})
	if err != nil {
		t.Fatal(err)
	}
	var lost error
	err = c.Watch(t.Context(), func(o fleet.Observation) { lost = o.Lost })
	if !errors.Is(err, fleet.ErrUnreachable) || !errors.Is(lost, fleet.ErrUnreachable) {
		t.Errorf("got %v and told %v, want %v", err, lost, fleet.ErrUnreachable)
	}
}

func TestWatch_OneOfTwoEntriesOfAnInstanceThatPassesIsEnough(t *testing.T) {
	s := &script{t: t}
	told, err := s.watch(t, consul.Config{Settle: settled},
		reply{index: 1, body: list(entry("a", "critical"), entry("a", "passing"), entry("b", "passing"), entry("b", "critical"))})
	if err != nil {
		t.Error(err)
	}
	want(t, told, "a+ b+")
}

func TestNew_FieldsWinOverTheEnvironment(t *testing.T) {
	s := &script{t: t}
	server := httptest.NewServer(s)
	defer server.Close()
	t.Setenv("CONSUL_HTTP_ADDR", server.URL)
	t.Setenv("CONSUL_HTTP_TOKEN", "of-the-environment")
	look := func(cfg consul.Config) {
		t.Helper()
		cfg.Cluster, cfg.Settle = "blue", settled
		c, err := consul.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.again(t, c, reply{index: 1}); err != nil {
			t.Errorf("watching: %v", err)
		}
	}
	look(consul.Config{})
	t.Setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
	t.Setenv("CONSUL_HTTP_SSL", "true")
	look(consul.Config{Addr: server.URL, Token: secret.Fixed("mine")})
	if len(s.tokens) < 2 || s.tokens[0] != "of-the-environment" || s.tokens[len(s.tokens)-1] != "mine" {
		t.Errorf("tokens sent: %q, want the environment's first and mine last", s.tokens)
	}
}

func TestNew_WantsACluster(t *testing.T) {
	if _, err := consul.New(consul.Config{}); err == nil {
		t.Error("got nil, want an error: without a cluster everybody's services would be ours")
	}
	if _, err := consul.New(consul.Config{Cluster: "blue", Addr: "ftp://x"}); err == nil {
		t.Error("got nil, want an error for an unknown scheme")
	}
}

func TestWatch_NoIndexIsNamed(t *testing.T) {
	s := &script{t: t}
	if _, err := s.watch(t, consul.Config{}, reply{}); !errors.Is(err, consul.ErrNoIndex) {
		t.Errorf("got %v, want %v", err, consul.ErrNoIndex)
	}
}
