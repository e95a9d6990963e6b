package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

func TestPolicy_IsTheOneThatTheConfigNames(t *testing.T) {
	for name, want := range map[string]string{
		config.PolicyAdaptive: "*main.learningPolicy", config.PolicyFixed: "*autoscaler.Fixed",
		config.PolicyKPA: "*autoscaler.KPA", config.PolicyHybrid: "*autoscaler.Hybrid",
	} {
		policy, learned := newPolicy(config.Autoscaler{Policy: name, LatencyWeight: 10})
		if got := fmt.Sprintf("%T", policy); got != want || (learned != nil) != (name == config.PolicyAdaptive) {
			t.Errorf("%s: got %s, keeping %v, want %s", name, got, learned != nil, want)
		}
		view := fleet.ModelView{Model: &fleet.Model{ID: "m", GPUs: 1}, Hot: []fleet.HotView{{ID: "i"}}}
		if d := policy.Decide(time.Now(), &view); d.Parked == 0 {
			t.Errorf("%s: parks nothing", name)
		}
	}
}

// TestPolicy_KeepsWhatItLearnedOverARestart also damages what was kept, which must not keep the server from starting.
func TestPolicy_KeepsWhatItLearnedOverARestart(t *testing.T) {
	t.Parallel()
	const model = "meta-llama/Meta-Llama-3-8B-Instruct"
	dir := t.TempDir()
	live := func() *devServer {
		t.Helper()
		s, err := launchDev(dir, "--sim-speed", "500")
		if err != nil {
			t.Fatal(err)
		}
		s.mustChat(t, model, false)
		if err := s.signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		return s
	}
	live()
	kept := keptByPolicy(t, dir, "")
	if err := autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}).Load([]byte(kept)); err != nil || !strings.Contains(kept, model) {
		t.Errorf("got %q, %v, want what was learned of %s", kept, err, model)
	}
	keptByPolicy(t, dir, kept[:len(kept)/2])
	if said := live().stderr.String(); !strings.Contains(said, "it learns anew") {
		t.Errorf("got log %q, want a word about the damage", said)
	}
	if again := keptByPolicy(t, dir, ""); !strings.HasSuffix(again, "}") || !strings.Contains(again, model) {
		t.Errorf("got %q, want it learned anew", again)
	}
}

// keptByPolicy gives what a stopped server's store keeps of the policy, after putting instead in its place where that is not empty.
func keptByPolicy(t *testing.T, dir, instead string) string {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(dir, "pilotlight.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if instead != "" {
		if err := db.SaveSetting(t.Context(), learnedScope, learnedName, instead); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := db.Settings(t.Context(), learnedScope)
	if err != nil {
		t.Fatal(err)
	}
	return kept[learnedName]
}

// TestPolicy_TakesOtherWeightsWhileItRuns has an instance that has been idle for half an hour in a slot that is held anyway.
func TestPolicy_TakesOtherWeightsWhileItRuns(t *testing.T) {
	policy, learned := newPolicy(config.Autoscaler{Policy: config.PolicyAdaptive, LatencyWeight: 10})
	now := time.Now()
	view := fleet.ModelView{
		Model: &fleet.Model{ID: "m", GPUs: 8, Pool: "a", IdleAfter: time.Hour}, IdleSince: now.Add(-30 * time.Minute), IdleCost: 1,
		Hot: []fleet.HotView{{ID: "i", IdleSince: now.Add(-30 * time.Minute), ReadyAt: now.Add(-time.Hour)}},
	}
	before := policy.Decide(now, &view)
	learned.configure(config.Autoscaler{LatencyWeight: 0.001, IdleCost: 1})
	after := policy.Decide(now, &view)
	if before.Hot != 1 || after.Hot != 0 {
		t.Errorf("got %d hot (%s), then %d (%s); want it kept while idling is free, then let go", before.Hot, before.Reason, after.Hot, after.Reason)
	}
}
