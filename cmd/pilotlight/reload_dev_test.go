package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// hangUp writes the server's own file anew, sends SIGHUP, and waits until the log has what it should make of it.
func (s *devServer) hangUp(t *testing.T, path, text, want string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	before := len(s.stderr.String())
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() string {
		if log := s.stderr.String()[before:]; !strings.Contains(log, want) {
			return fmt.Sprintf("no %q in the log: %s", want, log)
		}
		return ""
	})
}

func TestDev_HangupWithAFileThatItCannotTakeChangesNothing(t *testing.T) {
	t.Parallel()
	const own = "model \"demo\" {\n  gpus = 1\n  engine \"sim\" {}\n}\n"
	path := writeConfig(t, own)
	s := startDev(t, t.TempDir(), "--sim-speed", "1000", "--config", path)
	s.hangUp(t, path, own+"price { gpu_hour_usd = 9 }\n", path+":5: gpu_hour_usd")
	s.hangUp(t, path, "cluster = \"other\"\n"+own, "cluster needs a restart; nothing was changed")
	s.hangUp(t, path, "# as it was\n"+own, "changes=0")
	s.mustChat(t, "demo", false)
	if r := s.records(t); r[0].Price != 8_250_000_000 {
		t.Errorf("got price %v, want the first", r[0].Price)
	}
}

// beforeAndAfter are two configs: a model that grows, one that grows while it is being started, one that goes while it is being started, one that comes.
const (
	configBefore = `
model "acme/busy" {
  gpus = 1
  engine "sim" {}
}
model "acme/slow" {
  gpus = 1
  engine "sim" { args = ["--sim-load-time", "60s"] }
}
model "acme/goes" {
  gpus = 1
  engine "sim" { args = ["--sim-load-time", "60s"] }
}
`
	configAfter = `
price { gpu_hour_usd = "9" }
pool "local" {
  max_parked_per_gpu = 2
}
model "acme/busy" {
  gpus = 2
  engine "sim" {}
}
model "acme/slow" {
  gpus = 2
  engine "sim" { args = ["--sim-load-time", "60s"] }
}
model "acme/comes" {
  gpus = 1
  engine "sim" {}
}
`
)

// TestDev_TakesAChangedConfigUnderLoad changes everything at once while one request is being served and two wait.
func TestDev_TakesAChangedConfigUnderLoad(t *testing.T) {
	notQuick(t)
	path := writeConfig(t, configBefore)
	s := startDev(t, t.TempDir(), "--sim-speed", "20", "--config", path)
	client := s.admin(t)
	s.mustChat(t, "acme/busy", true)
	answers := make([]*answer, 3)
	var callers sync.WaitGroup
	for i, model := range []string{"acme/busy", "acme/slow", "acme/goes"} {
		callers.Go(func() {
			body := fmt.Appendf(nil, `{"model": %q, "stream": true, "max_tokens": 4000, "min_tokens": 4000, "ignore_eos": true,
				"messages": [{"role": "user", "content": "Count."}]}`, model)
			var err error
			if answers[i], err = s.post(t.Context(), "/chat/completions", body); err != nil {
				t.Errorf("%s: %v", model, err)
			}
		})
	}
	eventually(t, 10*time.Second, func() string { return s.underWay(t, client) })
	s.hangUp(t, path, configAfter, "config applied")
	if a, err := s.chat(t.Context(), "acme/goes", false); err != nil || a.status != http.StatusNotFound {
		t.Errorf("a model that is gone: got %+v, %v, want 404", a, err)
	}
	s.mustChat(t, "acme/comes", false)
	grown := s.mustChat(t, "acme/busy", false)
	callers.Wait()
	for i, a := range answers {
		if a == nil || !a.whole() {
			t.Errorf("caller %d got %+v, want a whole answer", i, a)
		}
	}
	s.wantBills(t, grown)
	eventually(t, 30*time.Second, func() string { return leftOvers(t, client) })
	s.wantSeries(t, client, "acme/comes")
}

// underWay says who is not yet being served or waiting, "" = all are.
func (s *devServer) underWay(t *testing.T, client *admin.Client) string {
	t.Helper()
	for id, state := range map[string]string{"acme/busy": "hot", "acme/slow": "starting", "acme/goes": "starting"} {
		m, err := client.Model(t.Context(), id)
		if err != nil {
			return err.Error()
		}
		if m.State != state || m.Inflight+m.Waiting != 1 {
			return fmt.Sprintf("%s is %s, with %d in flight and %d waiting", id, m.State, m.Inflight, m.Waiting)
		}
	}
	return ""
}

// wantBills holds the records of all requests against what their instances held, and the prices at their dispatch.
func (s *devServer) wantBills(t *testing.T, grown *answer) {
	t.Helper()
	const before, after = fleet.NanoUSD(8_250_000_000), fleet.NanoUSD(9_000_000_000)
	bills := map[string][]string{} // model -> GPUs and price of each record
	for _, r := range s.records(t) {
		bills[r.Model] = append(bills[r.Model], fmt.Sprintf("%d at %s", r.GPUs, r.Price))
		if r.RequestID == grown.header.Get("X-Request-Id") && (r.GPUs != 2 || r.Price != after) {
			t.Errorf("the request after the change: got %d GPUs at %s, want 2 at %s", r.GPUs, r.Price, after)
		}
	}
	first := fmt.Sprintf("1 at %s", before)
	if n := len(slices.DeleteFunc(slices.Clone(bills["acme/busy"]), func(b string) bool { return b != first })); n != 2 {
		t.Errorf("acme/busy: got bills %v, want two as before the change", bills["acme/busy"])
	}
	if got := bills["acme/goes"]; len(got) != 1 || got[0] != fmt.Sprintf("1 at %s", after) {
		t.Errorf("acme/goes: got bills %v, want one at the price of its dispatch", got)
	}
}

// leftOvers says which instance is none of the present config, "" = there is none.
func leftOvers(t *testing.T, client *admin.Client) string {
	t.Helper()
	instances, err := client.Instances(t.Context())
	if err != nil {
		return err.Error()
	}
	for _, i := range instances {
		if i.Model == "acme/goes" || i.Model != "acme/comes" && i.GPUs != 2 {
			return fmt.Sprintf("%s of %s with %d GPUs is %s", i.ID, i.Model, i.GPUs, i.State)
		}
	}
	return ""
}

// wantSeries looks for the metrics that a model has from the start.
func (s *devServer) wantSeries(t *testing.T, client *admin.Client, model string) {
	t.Helper()
	var text strings.Builder
	if err := client.Metrics(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	for _, series := range []string{
		`pilotlight_requests_total{model=%q,code="200"}`, `pilotlight_queue_seconds_count{model=%q}`, `pilotlight_instances{model=%q,state="ready"}`,
		`pilotlight_activation_seconds_count{model=%q,from="cold"}`, `pilotlight_billed_gpu_seconds_total{model=%q}`,
	} {
		if line := fmt.Sprintf(series, model); !strings.Contains(text.String(), line) {
			t.Errorf("no %s", line)
		}
	}
}
