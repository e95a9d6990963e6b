package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/pilotlight-io/pilotlight/internal/telemetry/scrapes"
)

const (
	observedSecret = "whsec_b2JzZXJ2ZWQtc2VjcmV0LW9ic2VydmVkLXNlY3JldA==" // of the webhook and the collector
	observedModel  = "meta-llama/Meta-Llama-3-8B-Instruct"
	brokenModel    = "acme/broken" // its engine ends at once
)

// observed is a server that has a bit of everything, and has served requests.
type observed struct {
	*devServer
	token string
}

func observe(t *testing.T) *observed {
	t.Helper()
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(hook.Close)
	t.Setenv("OBSERVED_WEBHOOK_SECRET", observedSecret)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20"+observedSecret)
	dir := t.TempDir()
	file := filepath.Join(dir, "pilotlight.hcl")
	config := fmt.Sprintf(`
api { access_log = "access.log" }
telemetry { otlp_endpoint = %q }
webhook "billing" {
  url        = %q
  secret_env = "OBSERVED_WEBHOOK_SECRET"
}
model %q {}
model %q {
  gpus = 1
  engine "openai" {
    command = ["false", "$${host}", "$${port}", "$${weights}"]
    weights = "acme/none"
  }
}
`, hook.URL, hook.URL, observedModel, brokenModel)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &observed{devServer: startDev(t, dir, "--config", file, "--sim-speed", "200", "--log-level", "debug")}
	var err error
	if s.token, err = readSecret(filepath.Join(s.DataDir, adminTokenFile)); err != nil {
		t.Fatal(err)
	}
	org := s.command(t, "org", "update", "dev", "--budget-usd", "100")
	for _, stream := range []bool{false, true} {
		if a, err := s.chat(t.Context(), observedModel, stream); err != nil || !a.whole() {
			t.Fatalf("got %+v, %v (%s)", a, err, org)
		}
	}
	return s
}

// command runs a command against the server.
func (s *observed) command(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	env := &Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Now: time.Now}
	if code := run(t.Context(), append(args, "--addr", s.Admin, "--data-dir", s.DataDir), env); code != 0 {
		t.Fatalf("%v: got %d: %s", args, code, errs.String())
	}
	return out.String()
}

func (s *observed) scrape(t *testing.T) scrapes.Scrape {
	t.Helper()
	got, err := scrapes.Read(scrape(t, s.Admin, s.token))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestObserved holds what is shown of a running server against what the docs say of it.
func TestObserved(t *testing.T) {
	notQuick(t)
	s := observe(t)
	var base scrapes.Scrape
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) { // until the records have been moved
		base = s.scrape(t)
		if at := base.Fits(matches(t, `pilotlight_ledger_wal_records`)...); len(at) == 1 && base[at[0]].Value == 0 || time.Now().After(end) {
			break
		}
	}
	t.Run("metrics", func(t *testing.T) { hasContractMetrics(t, base) })
	t.Run("manual", func(t *testing.T) { manualNamesMetrics(t, base) })
	t.Run("dashboard", func(t *testing.T) { dashboardShows(t, base) })
	rules, err := scrapes.Rules("../../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("alerts", func(t *testing.T) {
		for _, r := range rules {
			shows(t, r.Alert, r.Expr, base)
			hasRunbook(t, &r)
		}
	})
	t.Run("alerts fire", func(t *testing.T) { alertsFire(t, rules, base) })
	t.Run("a broken model", func(t *testing.T) { brokenModelIsTold(t, s, rules, base) })
	t.Run("secrets", func(t *testing.T) { tellsNoSecrets(t, s) })
}

// contractMetrics are those of the interface: name -> labels, besides le.
var contractMetrics = map[string][]string{
	"pilotlight_requests_total": {"model", "code"}, "pilotlight_request_seconds_bucket": {"model", "le"}, "pilotlight_ttft_seconds_bucket": {"model", "start", "le"},
	"pilotlight_queue_depth": {"model"}, "pilotlight_queue_seconds_bucket": {"model", "le"}, "pilotlight_activation_seconds_bucket": {"model", "from", "le"},
	"pilotlight_instances": {"model", "state"}, "pilotlight_gpus": {"pool", "state"}, "pilotlight_billed_gpu_seconds_total": {"model"},
	"pilotlight_held_gpu_seconds_total": {"pool"}, "pilotlight_breaker_state": {"instance"}, "pilotlight_body_bytes": {"kind"}, "pilotlight_budget_left_usd": {"org"},
	"pilotlight_leader": nil, "pilotlight_place_failures_total": {"place"}, "pilotlight_ledger_wal_records": nil,
	"process_cpu_seconds_total": nil, "process_resident_memory_bytes": nil,
}

func hasContractMetrics(t *testing.T, base scrapes.Scrape) {
	for name, want := range contractMetrics {
		at := base.Fits(matches(t, name)...)
		if len(at) == 0 {
			t.Errorf("got no %s", name)
		}
		for _, i := range at {
			var got []string
			for _, l := range labelNames(base[i].Labels) {
				if l != "__name__" && l != "job" && (l != "instance" || slices.Contains(want, l)) {
					got = append(got, l)
				}
			}
			slices.Sort(want)
			nameless := slices.DeleteFunc(slices.Clone(want), func(l string) bool { return l == "pool" || l == "model" }) // "" is no label to Prometheus
			if !slices.Equal(got, want) && !slices.Equal(got, nameless) {
				t.Errorf("%s: got labels %v, want %v", name, got, want)
			}
		}
	}
	for _, one := range base {
		if strings.HasSuffix(one.Name(), "_bucket") && one.Labels.Get("le") == "" || one.Labels.Get("vmrange") != "" {
			t.Errorf("got %s, want a distribution with Prometheus's buckets", one.Labels)
		}
		if strings.HasPrefix(one.Name(), "pilotlight_breaker_state") && one.Labels.Get("instance") == "target:8081" {
			t.Errorf("got %s, want the engine's instance", one.Labels)
		}
	}
}

func labelNames(l labels.Labels) (names []string) {
	l.Range(func(one labels.Label) { names = append(names, one.Name) })
	slices.Sort(names)
	return names
}

// manualNamesMetrics holds the manual's table against the server, both ways.
func manualNamesMetrics(t *testing.T, base scrapes.Scrape) {
	text, err := os.ReadFile("../../docs/operator.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Metrics\n")
	table, _, _ = strings.Cut(table, "\n## ")
	named := map[string]bool{}
	for _, name := range regexp.MustCompile("`(pilotlight_[a-z_]+)[{`]").FindAllStringSubmatch(table, -1) {
		named[name[1]] = true
		if len(base.Fits(matches(t, name[1])...))+len(base.Fits(matches(t, name[1]+"_bucket")...)) == 0 {
			t.Errorf("the manual names %s, which the server does not show", name[1])
		}
	}
	for _, one := range base {
		name := one.Name()
		for _, end := range []string{"_bucket", "_sum", "_count"} {
			if whole, found := strings.CutSuffix(name, end); found && named[whole] {
				name = whole
			}
		}
		if strings.HasPrefix(name, "pilotlight_") && !named[name] {
			t.Errorf("the server shows %s, which the manual does not name", name)
		}
	}
}

// matches gives the matchers of a selector.
func matches(t *testing.T, selector string) []*labels.Matcher {
	t.Helper()
	m, err := scrapes.Parser().ParseMetricSelector(selector)
	if err != nil {
		t.Fatalf("%s: %v", selector, err)
	}
	return m
}

// shows holds an expression against a scrape: each of its selectors names series that are there, leaving values of labels aside, and what it groups by are
// labels of them.
func shows(t *testing.T, where, expr string, base scrapes.Scrape) {
	t.Helper()
	parsed, err := scrapes.Parser().ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %s: %v", where, expr, err)
		return
	}
	parser.Inspect(parsed, func(n parser.Node, path []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		at := base.Fits(labels.MustNewMatcher(labels.MatchEqual, "__name__", v.Name))
		if len(at) == 0 {
			t.Errorf("%s: %s: there is no %s", where, expr, v.Name)
			return nil
		}
		need := []string{}
		for _, m := range v.LabelMatchers {
			need = append(need, m.Name)
		}
		for _, outer := range path {
			if a, grouped := outer.(*parser.AggregateExpr); grouped && !a.Without {
				need = append(need, a.Grouping...)
			}
		}
		for _, name := range need {
			if base[at[0]].Labels.Get(name) == "" && !slices.ContainsFunc(at, func(i int) bool { return base[i].Labels.Get(name) != "" }) {
				t.Errorf("%s: %s: %s has no label %s", where, expr, v.Name, name)
			}
		}
		return nil
	})
}

func dashboardShows(t *testing.T, base scrapes.Scrape) {
	text, err := os.ReadFile("../../docs/grafana/pilotlight.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "5m", "$model", ".+", "$pool", ".*")
	history, now := scrapes.NewHistory(), time.Unix(1_800_000_000, 0)
	for i := range 4 {
		history.Add(now.Add(time.Duration(i)*time.Minute), base)
	}
	seen := 0
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			seen++
			expr := fill.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: %s has a variable that the dashboard does not have", p.Title, expr)
			}
			shows(t, p.Title, expr, base)
			if !strings.HasSuffix(expr, "> 0") && !history.True(t, expr, now.Add(3*time.Minute)) {
				t.Errorf("%s: %s shows nothing", p.Title, expr)
			}
		}
	}
	for _, v := range board.Templating.List {
		if inside, found := strings.CutPrefix(v.Definition, "label_values("); found {
			metric, label, _ := strings.Cut(strings.TrimSuffix(inside, ")"), ", ")
			shows(t, v.Name, "sum by ("+label+") ("+metric+")", base)
		}
	}
	if seen < 20 {
		t.Errorf("got %d expressions, want the whole dashboard read", seen)
	}
}
