package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// reconfigured is a configurer over parts that note what they are told.
type reconfigured struct {
	*configurer
	log    *lockedBuffer
	told   []string       // who was told what, in order
	models []*fleet.Model // that the planner was last told of
	pools  []fleet.Pool
	refuse error  // of the planner
	within func() // called by the planner; nil = nothing
}

const ownConfig = `
backend "nomad" {}
pool "a" {}
model "meta-llama/Meta-Llama-3.1-8B-Instruct" {
  pool = "a"
}
`

// newReconfigured is a server of ownConfig in which pools are tuned: scope -> key -> text.
func newReconfigured(t *testing.T, kept map[string]map[string]string) *reconfigured {
	t.Helper()
	path := writeConfig(t, ownConfig)
	tuning, _, _ := tuned(t, ownConfig, kept)
	parse := config.Options{BaseDir: "/base"}.Parse
	cfg, err := parse(path, []byte(ownConfig))
	if err != nil {
		t.Fatal(err)
	}
	r := &reconfigured{log: &lockedBuffer{}}
	tell := func(format string, args ...any) { r.told = append(r.told, fmt.Sprintf(format, args...)) }
	r.configurer = &configurer{
		source: configSource{path: path, parse: parse}, tuning: tuning, current: cfg, told: cfg.Pools, draining: func() bool { return false },
		audit: audit.New(tuning.store, nil), log: slog.New(slog.NewTextHandler(r.log, nil)),
		parts: configurable{
			planner: func(models []*fleet.Model, pools []fleet.Pool) error {
				tell("planner %d models %d pools", len(models), len(pools))
				if r.within != nil {
					r.within()
				}
				if r.refuse == nil {
					r.models, r.pools = models, pools
				}
				return r.refuse
			},
			backEnd: func(models []*fleet.Model, pools []fleet.Pool) {
				tell("back end %d models %d pools", len(models), len(pools))
			},
			policy: func(c config.Autoscaler) { tell("policy %g", c.LatencyWeight) },
			others: func(c *config.Config) { tell("others %d models at %s", len(c.Models), c.Price) },
		},
	}
	return r
}

func (r *reconfigured) take(t *testing.T, text string) (*admin.Configured, error) {
	t.Helper()
	return r.Configure(t.Context(), admin.ConfigFile{Name: "new.hcl", Content: text}, false)
}

const addedModel = ownConfig + `
price { gpu_hour_usd = "9" }
autoscaler { latency_weight = 3 }
pool "b" {}
model "meta-llama/Meta-Llama-3-8B-Instruct" {}
`

func TestConfigure_TellsTheBackEndFirstAndWhoCannotRefuseLast(t *testing.T) {
	r := newReconfigured(t, nil)
	before := r.current
	said, err := r.Configure(t.Context(), admin.ConfigFile{Name: "new.hcl", Content: addedModel}, true)
	if err != nil || said.Applied || len(said.Changes) != 4 || r.told != nil || r.current != before {
		t.Fatalf("dry: got %+v, %v, told %v, want four changes and nothing told", said, err, r.told)
	}
	done, err := r.take(t, addedModel)
	if err != nil || !done.Applied || !cmp.Equal(done.Changes, said.Changes) {
		t.Fatalf("got %+v, %v, want the same changes applied", done, err)
	}
	want := []string{"back end 2 models 2 pools", "policy 3", "planner 2 models 2 pools", "others 2 models at 9.00"}
	if diff := cmp.Diff(want, r.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if r.models[0] != before.Models[0] || r.pools[1].LatencyWeight != 3 {
		t.Errorf("got models %v and pools %+v, want the model that has not changed to be the same one, and the new weight", r.models, r.pools)
	}
	if again, err := r.take(t, addedModel); err != nil || len(again.Changes) != 0 || len(r.told) != 4 {
		t.Errorf("once more: got %+v, %v, told %v, want nothing to change", again, err, r.told)
	}
	for _, line := range []string{`change="~ price: gpu_hour_usd \"8.25\" -> \"9.00\" (from now on)"`, `change="+ pool \"b\""`, `msg="config applied" file=new.hcl changes=4`} {
		if !strings.Contains(r.log.String(), line) {
			t.Errorf("no %s in the log:\n%s", line, r.log)
		}
	}
}

func TestConfigure_WhatIsRefusedChangesNothing(t *testing.T) {
	r := newReconfigured(t, nil)
	before := r.current
	for name, row := range map[string]struct {
		file string
		fail func()
		told []string
		is   error
		says string
	}{
		"a mistake":    {file: "pool \"a\" {\n  slots = 1\n}", says: "new.hcl:2: "},
		"a restart":    {file: addedModel + `cluster = "other"`, says: "cluster needs a restart; nothing was changed"},
		"the planner":  {file: addedModel, fail: func() { r.refuse = activator.ErrUnknownModel }, is: activator.ErrUnknownModel, told: []string{"back end 2 models 2 pools", "policy 3", "planner 2 models 2 pools", "policy 10", "back end 1 models 1 pools"}},
		"the shutdown": {file: addedModel, fail: func() { r.draining = func() bool { return true } }, is: activator.ErrShuttingDown},
		"the store":    {file: addedModel, fail: func() { r.tuning.store.Close() }, says: "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			r = newReconfigured(t, nil)
			before = r.current
			if row.fail != nil {
				row.fail()
			}
			_, err := r.take(t, row.file)
			if err == nil || !strings.Contains(err.Error(), row.says) || row.is != nil && !errors.Is(err, row.is) {
				t.Errorf("got %v, want %v %q", err, row.is, row.says)
			}
			if diff := cmp.Diff(row.told, r.told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if r.current != before || len(r.tuning.pools()) != 1 {
				t.Errorf("something was changed: %+v, pools %v", r.current, r.tuning.pools())
			}
		})
	}
}

// TestConfigure_TheBackEndKeepsToldOfPoolsThatWereRemoved: their slots still run, and are to be given back in order.
func TestConfigure_TheBackEndKeepsToldOfPoolsThatWereRemoved(t *testing.T) {
	r := newReconfigured(t, nil)
	for _, file := range []string{addedModel, ownConfig, strings.Replace(ownConfig, `pool "a" {}`, "pool \"a\" {\n  slot_idle = \"1m\"\n}", 1), addedModel} {
		if _, err := r.take(t, file); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	for _, one := range r.told {
		if strings.HasPrefix(one, "back end") || strings.HasPrefix(one, "planner") {
			told = append(told, one)
		}
	}
	want := []string{
		"back end 2 models 2 pools", "planner 2 models 2 pools", "back end 1 models 2 pools", "planner 1 models 1 pools",
		"back end 1 models 2 pools", "planner 1 models 1 pools", "back end 2 models 2 pools", "planner 2 models 2 pools",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// TestConfigure_OneAtATime has a second file come while the first is being applied: it differs from what the first has left.
func TestConfigure_OneAtATime(t *testing.T) {
	r := newReconfigured(t, nil)
	began, goOn := make(chan struct{}), make(chan struct{})
	r.within = sync.OnceFunc(func() { close(began); <-goOn })
	var first, second *admin.Configured
	var firstErr, secondErr error
	var both sync.WaitGroup
	both.Go(func() { first, firstErr = r.take(t, addedModel) })
	<-began
	both.Go(func() { second, secondErr = r.take(t, ownConfig) })
	close(goOn)
	both.Wait()
	if firstErr != nil || secondErr != nil {
		t.Fatalf("got %v and %v", firstErr, secondErr)
	}
	if len(first.Changes) != 4 || len(second.Changes) != 4 || second.Changes[3].Change != string(config.Removed) {
		t.Errorf("got %v, then %v, want the second to take back what the first has brought", first.Changes, second.Changes)
	}
	if len(r.models) != 1 || r.current.Price != 8_250_000_000 {
		t.Errorf("got %d models at %s, want those of the second file", len(r.models), r.current.Price)
	}
}

func TestConfigure_WhatIsTunedBeatsTheFileUntilItIsReset(t *testing.T) {
	r := newReconfigured(t, map[string]map[string]string{"pool/a": {"slot_idle": "1m"}, "pool/b": {"slots.max": "9"}})
	with := func(idle, most string) string {
		return strings.Replace(ownConfig, `pool "a" {}`, fmt.Sprintf("pool \"a\" {\n  slot_idle = %q\n}\npool \"b\" {\n  slots {\n    min = %s\n    max = 20\n  }\n}", idle, most), 1)
	}
	first, err := r.take(t, with("7m", "0"))
	if err != nil || len(first.Warnings) == 0 || !strings.Contains(first.Warnings[0], "pool a stays tuned to slot_idle=1m") {
		t.Fatalf("got %+v, %v, want to read that the file is beaten", first, err)
	}
	if r.pools[0].SlotIdle != time.Minute || r.pools[1].Slots.Max != 9 {
		t.Errorf("got %+v, want both as tuned, also the pool that has come back", r.pools)
	}
	if got := r.tuning.Tuned("a"); len(got) != 1 || got[0].File != "7m" {
		t.Errorf("got %+v, want the file's own value to be the new one", got)
	}
	done, err := r.take(t, with("7m", "10"))
	if err != nil || r.pools[1].Slots != (fleet.Range{Min: 10, Max: 20}) {
		t.Errorf("got %v, %+v, want what no longer fits left out", err, r.pools)
	}
	if !slices.ContainsFunc(done.Warnings, func(w string) bool {
		return strings.Contains(w, "pool b was tuned to slots.max=9, which is not in force")
	}) {
		t.Errorf("got warnings %q", done.Warnings)
	}
	var applied []fleet.Pool
	r.tuning.apply = func(p fleet.Pool) error { applied = append(applied, p); return nil }
	if err := r.tuning.Tune(t.Context(), "a", map[string]string{"slot_idle": ""}); err != nil || len(applied) != 1 || applied[0].SlotIdle != 7*time.Minute {
		t.Errorf("reset: got %v, %+v, want the new file's 7m", err, applied)
	}
}

func TestConfigure_WarnsWhereTheNextStartWouldTakeAnother(t *testing.T) {
	r := newReconfigured(t, nil)
	for name, row := range map[string]struct{ text, says string }{
		"another":        {addedModel, "says something else"},
		"the same":       {ownConfig, ""},
		"in other words": {"# own\n" + ownConfig, ""},
	} {
		done, err := r.take(t, row.text)
		if err != nil || (row.says == "") != (len(done.Warnings) == 0) || !strings.Contains(strings.Join(done.Warnings, ""), row.says) {
			t.Errorf("%s: got %+v, %v, want %q", name, done, err, row.says)
		}
	}
	r.source.path = ""
	if done, err := r.take(t, addedModel); err != nil || len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "without a config file") {
		t.Errorf("got %+v, %v", done, err)
	}
}

func TestReload_LogsWhatComesOfIt(t *testing.T) {
	r := newReconfigured(t, nil)
	reload := func(text string) string {
		if err := os.WriteFile(r.source.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		before := len(r.log.String())
		r.reload(t.Context())
		return r.log.String()[before:]
	}
	if got := reload("cluster = 1\npool \"a\" {\n  slots = 1\n}\n"); strings.Count(got, "config not applied") < 2 || !strings.Contains(got, ":1: ") || !strings.Contains(got, ":3: ") {
		t.Errorf("a broken file: got log\n%s", got)
	}
	if got := reload(addedModel + `cluster = "other"`); !strings.Contains(got, `! cluster`) || !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "cluster needs a restart; nothing was changed") {
		t.Errorf("what needs a restart: got log\n%s", got)
	}
	if got := reload(addedModel); !strings.Contains(got, `change="+ pool \"b\""`) || !strings.Contains(got, "config applied") || strings.Contains(got, "level=ERROR") {
		t.Errorf("a good file: got log\n%s", got)
	}
	r.source.path += ".gone"
	before := len(r.log.String())
	r.reload(t.Context())
	if got := r.log.String()[before:]; !strings.Contains(got, "config not applied") || !strings.Contains(got, "hcl.gone") {
		t.Errorf("no file: got log\n%s", got)
	}
	page, _, err := r.configurer.audit.List(t.Context(), audit.Query{Actor: "SIGHUP", Action: "config.apply", Subject: "config"})
	if err != nil || len(page) != 4 || page[0].Error == "" || page[2].Error == "" || page[3].Error == "" {
		t.Fatalf("got %+v, %v, want an entry of each hangup, and why three of them failed", page, err)
	}
	if e := page[1]; e.Error != "" || !strings.Contains(string(e.After), `"pool b":"added"`) || e.Via != audit.Signal {
		t.Errorf("got %+v, want what was changed", e)
	}
}

func TestFollow_ReloadsAtEachHangup(t *testing.T) {
	r := newReconfigured(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	hangups := make(chan os.Signal)
	var wait sync.WaitGroup
	wait.Go(func() { _ = r.follow(ctx, hangups) })
	hangups <- syscall.SIGHUP
	hangups <- syscall.SIGHUP
	cancel()
	wait.Wait()
	if got := strings.Count(r.log.String(), "config applied"); got != 2 {
		t.Errorf("got %d reloads, want 2:\n%s", got, r.log)
	}
}
