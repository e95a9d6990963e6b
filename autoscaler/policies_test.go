package autoscaler_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

var (
	_ activator.Policy = (*autoscaler.KPA)(nil)
	_ activator.Policy = (*autoscaler.Hybrid)(nil)
	_ activator.Policy = (*autoscaler.Adaptive)(nil)
)

// life tells a policy what a model lives through, in virtual time.
type life struct {
	policy activator.Policy
	model  *fleet.Model
	now    time.Time
}

func newLife(p activator.Policy) *life {
	return &life{policy: p, now: noon, model: &fleet.Model{ID: "m", GPUs: 1, MaxConcurrency: 64, ParkedMemory: 26e9, Instances: fleet.Range{Max: 16}}}
}

func (l *life) tell(kind fleet.EventKind, n int) {
	l.policy.Observe(fleet.Event{Kind: kind, At: l.now, Model: l.model.ID, N: n})
}

// serve has so many requests come at once, and take so long.
func (l *life) serve(n int, took time.Duration) {
	l.tell(fleet.EventArrived, n)
	l.tell(fleet.EventBusy, 0)
	l.tell(fleet.EventDemand, n)
	l.now = l.now.Add(took)
	l.tell(fleet.EventIdle, 0)
	l.tell(fleet.EventDemand, 0)
}

// moves tells what its moves take.
func (l *life) moves(cold, wake, park time.Duration) {
	for range 20 {
		l.policy.Observe(fleet.Event{Kind: fleet.EventReady, At: l.now, Model: l.model.ID, N: 1, From: fleet.Cold, Took: cold})
		l.policy.Observe(fleet.Event{Kind: fleet.EventReady, At: l.now, Model: l.model.ID, N: 1, From: fleet.Parked, Took: wake})
		l.policy.Observe(fleet.Event{Kind: fleet.EventParked, At: l.now, Model: l.model.ID, N: 1, Took: park})
	}
}

// idle gives the wish for a model with one hot instance that has been idle since now, after so long.
func (l *life) idle(after time.Duration) fleet.Desired {
	return l.policy.Decide(l.now.Add(after), &fleet.ModelView{
		Model: l.model, IdleCost: 1, Parks: true, IdleSince: l.now, Hot: []fleet.HotView{{ID: "i", IdleSince: l.now, ReadyAt: l.now.Add(-time.Hour)}},
	})
}

func TestKPA_FollowsTheMeanOfAMinute(t *testing.T) {
	l := newLife(autoscaler.NewKPA(autoscaler.KPAConfig{}))
	view := func(n, hot int) *fleet.ModelView {
		return &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, Inflight: n, Hot: make([]fleet.HotView, hot)}
	}
	l.tell(fleet.EventDemand, 80)
	l.now = l.now.Add(2 * time.Minute)
	if d := l.policy.Decide(l.now, view(80, 2)); d.Hot != 2 { // 80 / 44.8
		t.Errorf("80 requests for two minutes: got %d hot, want 2", d.Hot)
	}
	l.tell(fleet.EventDemand, 100) // asks for three, but not for twice as many
	if d := l.policy.Decide(l.now.Add(6*time.Second), view(100, 2)); d.Hot != 2 {
		t.Errorf("six seconds after a rise to 100: got %d hot, want 2", d.Hot)
	}
	if d := l.policy.Decide(l.now.Add(time.Minute), view(100, 2)); d.Hot != 3 {
		t.Errorf("a minute after a rise to 100: got %d hot, want 3", d.Hot)
	}
}

func TestKPA_PanicsInABurstAndKeepsWhatItStarted(t *testing.T) {
	l := newLife(autoscaler.NewKPA(autoscaler.KPAConfig{}))
	l.tell(fleet.EventDemand, 10)
	l.now = l.now.Add(2 * time.Minute)
	l.tell(fleet.EventDemand, 400)
	l.now = l.now.Add(6 * time.Second)
	view := &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, Inflight: 64, Waiting: 336, Hot: make([]fleet.HotView, 1)}
	if d := l.policy.Decide(l.now, view); d.Hot != 9 { // 400 / 44.8
		t.Errorf("six seconds into a burst of 400: got %d hot, want 9", d.Hot)
	}
	l.tell(fleet.EventDemand, 10)
	view = &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, Inflight: 10, Hot: make([]fleet.HotView, 9)}
	if d := l.policy.Decide(l.now.Add(20*time.Second), view); d.Hot != 9 {
		t.Errorf("twenty seconds after the burst: got %d hot, want 9", d.Hot)
	}
	if d := l.policy.Decide(l.now.Add(2*time.Minute), view); d.Hot != 1 {
		t.Errorf("two minutes after the burst: got %d hot, want 1", d.Hot)
	}
}

func TestKPA_ToZeroAfterTheWindowAndItsGrace(t *testing.T) {
	l := newLife(autoscaler.NewKPA(autoscaler.KPAConfig{Park: true}))
	l.serve(1, time.Second)
	if d := l.idle(89 * time.Second); d.Hot != 1 || d.ReviewAt != l.now.Add(90*time.Second) {
		t.Errorf("idle 89 s: got %d hot, review %s, want 1 and at 90 s", d.Hot, d.ReviewAt.Sub(l.now))
	}
	if d := l.idle(90 * time.Second); d.Hot != 0 || d.Parked == 0 {
		t.Errorf("idle 90 s: got %d hot and %d parked, want 0 and some", d.Hot, d.Parked)
	}
}

// A level holds until another is told: no news is no lack of requests.
func TestKPA_SilenceIsNotZeroDemand(t *testing.T) {
	l := newLife(autoscaler.NewKPA(autoscaler.KPAConfig{}))
	l.tell(fleet.EventDemand, 100)
	view := &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, Inflight: 100, Hot: make([]fleet.HotView, 3)}
	if d := l.policy.Decide(l.now.Add(24*time.Hour), view); d.Hot != 3 {
		t.Errorf("a day without news of 100 requests: got %d hot, want 3", d.Hot)
	}
}

func TestHybrid_WakesBeforeAndKeepsToTheEndOfWhatIsUsual(t *testing.T) {
	l := newLife(autoscaler.NewHybrid(autoscaler.HybridConfig{Park: true}))
	if d := l.idle(9 * time.Minute); d.Hot != 1 {
		t.Errorf("nothing learned, idle 9 min: got %d hot, want 1", d.Hot)
	}
	if d := l.idle(10 * time.Minute); d.Hot != 0 {
		t.Errorf("nothing learned, idle 10 min: got %d hot, want 0", d.Hot)
	}
	for range 20 {
		l.serve(1, time.Second)
		l.now = l.now.Add(30*time.Minute + 30*time.Second)
	}
	l.serve(1, time.Second)
	asleep := &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, IdleSince: l.now, Parked: 1}
	rows := []struct {
		after time.Duration
		hot   int
	}{{time.Second, 0}, {26 * time.Minute, 0}, {27 * time.Minute, 1}, {34 * time.Minute, 1}, {35 * time.Minute, 0}} // 0.9 x 30, 1.1 x 31 min
	for _, r := range rows {
		if d := l.policy.Decide(l.now.Add(r.after), asleep); d.Hot != r.hot {
			t.Errorf("gaps of half an hour, idle %s: got %d hot, want %d", r.after, d.Hot, r.hot)
		}
	}
}

// keptFor finds how long an idle instance stays hot.
func (l *life) keptFor(t *testing.T) time.Duration {
	t.Helper()
	d := l.idle(time.Millisecond)
	if d.Hot == 0 {
		return 0
	}
	if d.ReviewAt.IsZero() || l.policy.Decide(d.ReviewAt, &fleet.ModelView{
		Model: l.model, IdleCost: 1, Parks: true, IdleSince: l.now, Hot: []fleet.HotView{{ID: "i", IdleSince: l.now}},
	}).Hot != 0 {
		t.Fatalf("kept, but not until it is looked at again: %+v", d)
	}
	return d.ReviewAt.Sub(l.now)
}

// learned is an adaptive policy after many gaps of one length.
func learned(gap time.Duration, lambda float64) *life {
	l := newLife(autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{LatencyWeight: lambda, BoundMayCost: 0.02}))
	l.moves(time.Minute, 2*time.Second, 2*time.Second)
	for range 200 {
		l.serve(1, time.Second)
		l.now = l.now.Add(gap)
	}
	l.serve(1, time.Second)
	return l
}

func TestAdaptive_KeepsThroughGapsThatAreWorthIt(t *testing.T) {
	// A switch costs 2 + 2 GPU-seconds and 2 s of waiting at lambda = 10: 24 in all.
	short, long := learned(10*time.Second, 10).keptFor(t), learned(5*time.Minute, 10).keptFor(t)
	if short < 10*time.Second || short > 15*time.Second {
		t.Errorf("gaps of 10 s: kept for %s, want just beyond them", short)
	}
	if long > time.Second {
		t.Errorf("gaps of five minutes: kept for %s, want it parked at once", long)
	}
	if patient := learned(10*time.Second, 0.1).keptFor(t); patient > time.Second {
		t.Errorf("gaps of 10 s, and waiting hardly matters: kept for %s, want it parked at once", patient)
	}
}

func TestAdaptive_APoolsLatencyWeightWins(t *testing.T) {
	l := learned(10*time.Second, 10)
	idle := func(weight float64) int {
		hot := []fleet.HotView{{ID: "i", IdleSince: l.now}}
		return l.policy.Decide(l.now.Add(5*time.Second), &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, IdleSince: l.now, Hot: hot, LatencyWeight: weight}).Hot
	}
	if got := [3]int{idle(0), idle(10), idle(0.1)}; got != [3]int{1, 1, 0} {
		t.Errorf("gaps of 10 s, idle 5 s, by weight 0 (the policy's 10), 10 and 0.1: got %v hot, want it parked at 0.1 only", got)
	}
}

func TestAdaptive_IdleAfterBoundsIt(t *testing.T) {
	l := learned(10*time.Second, 10)
	l.model.IdleAfter = 3 * time.Second
	if got := l.keptFor(t); got != 3*time.Second {
		t.Errorf("got %s, want idle_after", got)
	}
}

func TestIdleAfterBoundsEveryPolicy(t *testing.T) {
	const longest = 3 * time.Second
	// Four requests want several instances for a minute, by the rules that look at means. Then one is left, or none.
	rows := []struct {
		name      string
		left, min int
		idle      []time.Duration // of the others that are hot
		spared    fleet.Spared
		least     int // hot
		most      int
	}{
		{name: "idle for less", idle: []time.Duration{longest - 1}, least: 1, most: 8},
		{name: "idle so long", idle: []time.Duration{longest}},
		{name: "instances.min wins", idle: []time.Duration{longest}, min: 1, least: 1, most: 1},
		{name: "spare ones beside a busy one", left: 1, idle: []time.Duration{longest, time.Hour}, least: 1, most: 1},
		{name: "one of two spare ones", left: 1, idle: []time.Duration{longest, time.Second}, least: 1, most: 2},
		{name: "let go for it: not wished back", left: 1, spared: fleet.Spared{Idle: longest, Stays: 1}, least: 1, most: 1},
		{name: "let go for it: not wished back before a request", spared: fleet.Spared{Idle: longest}},
		{name: "let go sooner: as the policy likes", left: 1, spared: fleet.Spared{Idle: longest - 1, Stays: 1}, least: 1, most: 8},
	}
	for name, p := range map[string]func() activator.Policy{
		"fixed":    func() activator.Policy { return autoscaler.NewFixed(autoscaler.FixedConfig{}) },
		"kpa":      func() activator.Policy { return autoscaler.NewKPA(autoscaler.KPAConfig{}) },
		"hybrid":   func() activator.Policy { return autoscaler.NewHybrid(autoscaler.HybridConfig{}) },
		"adaptive": func() activator.Policy { return autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}) },
	} {
		for _, r := range rows {
			l := newLife(p())
			l.model.IdleAfter, l.model.MaxConcurrency, l.model.Instances.Min = longest, 1, r.min
			l.serve(4, 40*time.Second)
			v := fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, Inflight: r.left, Spared: r.spared}
			for range r.left {
				l.tell(fleet.EventBusy, 0)
				l.tell(fleet.EventDemand, 1)
				v.Hot = append(v.Hot, fleet.HotView{ID: "busy", Leases: 1})
			}
			for _, idle := range r.idle {
				v.Hot = append(v.Hot, fleet.HotView{ID: "idle", IdleSince: l.now.Add(-idle)})
			}
			if r.left == 0 {
				v.IdleSince = l.now
			}
			d := l.policy.Decide(l.now, &v)
			if d.Hot < r.least || d.Hot > r.most {
				t.Errorf("%s: %s: got %d hot, want %d to %d: %s", name, r.name, d.Hot, r.least, r.most, d.Reason)
			}
			if until := l.now.Add(1); r.least < r.most && len(r.idle) == 1 && d.ReviewAt != until {
				t.Errorf("%s: %s: looked at again at %s, want at %s", name, r.name, d.ReviewAt, until)
			}
		}
	}
}

func TestAdaptive_JumpsToTheNeededNumber(t *testing.T) {
	l := newLife(autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}))
	l.tell(fleet.EventArrived, 300)
	l.tell(fleet.EventDemand, 300)
	if d := l.policy.Decide(l.now, &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, Waiting: 300}); d.Hot != 7 { // 300 / 44.8
		t.Errorf("got %d hot, want 7 at once", d.Hot)
	}
}

func TestAdaptive_ParkedEnginesAreWorthTheColdStartTheySave(t *testing.T) {
	value := func(l *life, age time.Duration, gigabytes float64) float64 {
		l.model.ParkedMemory = fleet.Bytes(gigabytes * 1e9)
		return l.policy.Decide(l.now.Add(age), &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, IdleSince: l.now, Parked: 1}).ParkedValue
	}
	l := learned(time.Minute, 10)
	rows := []struct {
		name        string
		less, worth float64
	}{
		{"the longer ago it was used", value(l, time.Hour, 26), value(l, time.Minute, 26)},
		{"the more memory it takes", value(l, time.Minute, 260), value(l, time.Minute, 26)},
	}
	for _, r := range rows {
		if r.less >= r.worth {
			t.Errorf("%s: got %g, want less than %g", r.name, r.less, r.worth)
		}
	}
	before := value(l, time.Minute, 26)
	l.moves(10*time.Minute, 2*time.Second, 2*time.Second)
	if after := value(l, time.Minute, 26); after < 5*before {
		t.Errorf("ten times the cold start: got %g, want much more than %g", after, before)
	}
}

func TestAdaptive_TheBusierTheDearerToDrain(t *testing.T) {
	l := learned(time.Minute, 10)
	busy := func(waiting int) float64 {
		return l.policy.Decide(l.now, &fleet.ModelView{
			Model: l.model, IdleCost: 1, Parks: true, Waiting: waiting, Inflight: 64, Hot: []fleet.HotView{{ID: "i", Leases: 64, ReadyAt: noon}},
		}).HotValue
	}
	if none, many := busy(0), busy(200); many < 1000 || none > many/10 {
		t.Errorf("got %.0f s with nobody waiting and %.0f s with 200, want few and many", none, many)
	}
}

func TestAdaptive_SaysWhy(t *testing.T) {
	l := learned(10*time.Second, 10)
	for after, want := range map[time.Duration]string{
		2 * time.Second: "kept hot for 11s without a request: its arrivals make it worth it", time.Minute: "let go after 1m0s without a request: by its arrivals longer is not worth it",
	} {
		if got := l.idle(after).Reason; got != want {
			t.Errorf("idle %s: got %q, want %q", after, got, want)
		}
	}
	young := autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}).Decide(l.now, &fleet.ModelView{
		Model: l.model, IdleCost: 1, Parks: true, Hot: []fleet.HotView{{ID: "i", IdleSince: l.now.Add(-2 * time.Second)}},
	})
	if want := "kept hot for 5m0s without a request: its arrivals are not known yet"; young.Reason != want || young.Hot != 1 {
		t.Errorf("got %q and %d hot, want %q and 1", young.Reason, young.Hot, want)
	}
	d := l.policy.Decide(l.now, &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, Waiting: 2, Inflight: 1})
	if want := "3 requests in flight or waiting, 64 slots an instance"; d.Reason != want {
		t.Errorf("got %q, want %q", d.Reason, want)
	}
}

func TestAdaptive_RestartKeepsWhatWasLearned(t *testing.T) {
	l := learned(10*time.Second, 10)
	before := l.policy.(*autoscaler.Adaptive)
	b, err := before.Save()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 8<<10 {
		t.Errorf("one model takes %d bytes, want at most 8 KiB", len(b))
	}
	after := autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{LatencyWeight: 10})
	if err := after.Load(b); err != nil {
		t.Fatal(err)
	}
	again, err := after.Save()
	if err != nil || string(again) != string(b) {
		t.Errorf("saved again: got %s, %v, want %s", again, err, b)
	}
	fresh := &life{policy: after, model: l.model, now: l.now}
	fresh.now = fresh.now.Add(time.Minute)
	fresh.serve(1, time.Second)
	fresh.now = fresh.now.Add(2 * time.Minute) // a whole window has been seen
	fresh.serve(1, time.Second)
	if got := fresh.keptFor(t); got < 10*time.Second || got > 15*time.Second {
		t.Errorf("after a restart: kept for %s, want just beyond the gaps of 10 s", got)
	}
}

func TestAdaptive_RestartLetsNothingGoBeforeAWholeWindowWasSeen(t *testing.T) {
	l := newLife(autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}))
	adopted := &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, Hot: []fleet.HotView{{ID: "i", IdleSince: l.now}, {ID: "j", IdleSince: l.now}}}
	for _, after := range []time.Duration{0, 30 * time.Second, 59 * time.Second} {
		if d := l.policy.Decide(l.now.Add(after), adopted); d.Hot != 2 {
			t.Errorf("%s after a restart: got %d hot, want both", after, d.Hot)
		}
	}
}

func TestAdaptive_IdleAfterBoundsItAfterARestartToo(t *testing.T) {
	l := newLife(autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}))
	l.model.IdleAfter = 3 * time.Second
	adopted := &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, Hot: []fleet.HotView{{ID: "i", IdleSince: l.now}}}
	for after, want := range map[time.Duration]int{2 * time.Second: 1, 3 * time.Second: 0} {
		if got := l.policy.Decide(l.now.Add(after), adopted).Hot; got != want {
			t.Errorf("after %s: got %d hot, want %d", after, got, want)
		}
	}
}

func TestAdaptive_LoadRefuses(t *testing.T) {
	for _, b := range []string{"", "{", `{"Version":99}`} {
		if err := autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}).Load([]byte(b)); err == nil {
			t.Errorf("Load(%q): got no error", b)
		}
	}
}

func TestAdaptive_IsAFunctionOfWhatItWasTold(t *testing.T) {
	play := func() []fleet.Desired {
		l := newLife(autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}))
		var all []fleet.Desired
		for k := range 300 {
			l.model.ID = fmt.Sprint("m", k%7)
			l.serve(1+k%3, time.Duration(k%11)*time.Second)
			for range 3 { // asking changes nothing
				all = append(all, l.idle(time.Second))
			}
			l.now = l.now.Add(time.Duration(math.Pow(1.7, float64(k%12))) * time.Second)
		}
		return all
	}
	if diff := cmp.Diff(play(), play()); diff != "" {
		t.Error(diff)
	}
}

func TestAdaptive_ALargeOnesParkedEngineIsWorthTheGPUsThatAStartWouldTakeFromOthers(t *testing.T) {
	value := func(gpus int) float64 {
		l := learned(time.Minute, 10)
		l.model.GPUs = gpus
		return l.policy.Decide(l.now, &fleet.ModelView{Model: l.model, IdleCost: 1, Parks: true, IdleSince: l.now, Parked: 1}).ParkedValue
	}
	// With a weight of 10, one request that waits for a start is worth 10 GPUs, and one of these counts for three.
	if got, want := value(8)/value(1), (1+3*8/10.0)/(1+3*1/10.0); math.Abs(got-want) > 0.1*want {
		t.Errorf("got %.2f times as much with 8 GPUs as with one, want about %.2f", got, want)
	}
}
