package simulate_test

import (
	"context"
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/simulate"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// recorded gives requests of a list.
type recorded []trace.Request

func (r *recorded) Read(q *trace.Request) error {
	if len(*r) == 0 {
		return io.EOF
	}
	*q = (*r)[0]
	*r = (*r)[1:]
	return nil
}

// site is a pool of slots of two GPUs with one model of one GPU, whose moves take 60 s, 1.5 s, 1.5 s and 2 s.
func site() simulate.Site {
	return simulate.Site{
		Policy: autoscaler.NewFixed(autoscaler.FixedConfig{Park: true}),
		Models: []*fleet.Model{{
			ID: "m", GPUs: 1, Pool: "p", MaxConcurrency: 4, IdleAfter: 10 * time.Second, Instances: fleet.Range{Max: 2}, ParkedMemory: 1 << 30,
			Queue: fleet.QueueLimits{Limit: 1, PerOrg: 1, MaxWait: time.Second}, Timeouts: fleet.Timeouts{Start: time.Second},
			Engine: fleet.EngineSpec{Kind: fleet.EngineTRTLLM},
		}},
		Pool: fleet.Pool{Name: "p", GPUsPerSlot: 2, MaxParkedPerGPU: 4},
		GPUs: 2, Slots: 1, Began: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Until: 400 * time.Second,
		Usual: simulate.Moves{Cold: 60 * time.Second, Wake: 1500 * time.Millisecond, Park: 1500 * time.Millisecond, Stop: 2 * time.Second},
	}
}

func at(seconds ...int) *recorded {
	r := recorded{}
	for _, s := range seconds {
		r = append(r, trace.Request{At: time.Duration(s) * time.Second, Took: time.Second})
	}
	return &r
}

func replay(t *testing.T, s simulate.Site, requests *recorded) *simulate.Result {
	t.Helper()
	r, err := simulate.Replay(t.Context(), s, requests)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A cold start of 60 s, a second of service, ten idle seconds, a park; then the same with a wake. What the slot holds does not depend on it.
func TestReplay_CostsWorkedOutByHand(t *testing.T) {
	r := replay(t, site(), at(100, 300))
	near(t, "awake GPU-seconds", r.Held*3600, 60+1+10+1.5+1.5+1+10+1.5)
	near(t, "slot GPU-seconds", r.SlotHeld*3600, 2*400)
	near(t, "seconds waited", r.WaitHours*3600, 60+1.5)
	if r.ColdStarts != 1 || r.Resumes != 1 || r.Requests != 2 || r.Refused != 0 {
		t.Errorf("got %+v, want a cold start, a resume and two requests", r)
	}
}

func TestReplay_SlotsComeAndGo(t *testing.T) {
	s := site()
	s.Slots, s.SlotStart = 0, 10*time.Second
	s.Pool.Slots, s.Pool.SlotIdle = fleet.Range{Max: 2}, 30*time.Second
	r := replay(t, s, at(100))
	// The slot is there from 110, the engine serves from 170 to 171, is parked by 182.5, and the slot is given back 30 s later.
	near(t, "slot GPU-seconds", r.SlotHeld*3600, 2*(212.5-110))
	near(t, "seconds waited", r.WaitHours*3600, 70)
	if r.Slots != 1 || r.ColdStarts != 1 {
		t.Errorf("got %d slots and %d cold starts, want one of each", r.Slots, r.ColdStarts)
	}
	// What was parked there is gone with it.
	if r := replay(t, s, at(100, 390)); r.ColdStarts != 2 || r.Resumes != 0 {
		t.Errorf("got %d cold starts and %d resumes behind a slot that was given back, want 2 and 0", r.ColdStarts, r.Resumes)
	}
	s.Pool.SlotIdle = 10 * time.Minute
	if r := replay(t, s, at(100, 390)); r.ColdStarts != 1 || r.Resumes != 1 {
		t.Errorf("got %d cold starts and %d resumes in a slot that is kept, want 1 and 1", r.ColdStarts, r.Resumes)
	}
}

func TestReplay_KeepsSlotsMin(t *testing.T) {
	s := site()
	s.Slots, s.Pool.Slots, s.Pool.SlotIdle = 1, fleet.Range{Min: 1, Max: 2}, 30*time.Second
	if r := replay(t, s, at(100)); math.Abs(r.SlotHeld*3600-800) > 1 || r.Slots != 0 {
		t.Errorf("got %.1f GPU-seconds and %d slots added, want the one slot all the time", r.SlotHeld*3600, r.Slots)
	}
}

// Each move takes what one that was measured has taken, and only those.
func TestReplay_MovesTakeWhatWasMeasured(t *testing.T) {
	s := site()
	s.Moves = []fleet.Learned{{Model: "m", From: fleet.Cold, Durations: []time.Duration{7 * time.Second}}, {Model: "m", From: fleet.Parked, Durations: []time.Duration{2 * time.Second}}}
	near(t, "seconds waited", replay(t, s, at(100, 300)).WaitHours*3600, 7+2)
}

func TestReplay_WarmupIsNotScored(t *testing.T) {
	s := site()
	s.Warmup = 200 * time.Second
	r := replay(t, s, at(100, 300))
	near(t, "seconds waited", r.WaitHours*3600, 1.5)
	near(t, "slot GPU-seconds", r.SlotHeld*3600, 2*200)
	if r.Requests != 1 || r.ColdStarts != 0 {
		t.Errorf("got %d requests and %d cold starts, want what comes behind the warm-up", r.Requests, r.ColdStarts)
	}
}

// Who can never be served is counted, and ends nothing.
func TestReplay_CountsWhatFitsNowhere(t *testing.T) {
	s := site()
	wide := *s.Models[0]
	wide.ID, wide.GPUs = "wide", 4
	s.Models = append(s.Models, &wide)
	requests := recorded{{At: 10 * time.Second, Model: 1, Took: time.Second}, {At: 20 * time.Second, Took: time.Second}}
	if r := replay(t, s, &requests); r.Refused != 1 || r.Requests != 1 {
		t.Errorf("got %d refused and %d served, want one of each", r.Refused, r.Requests)
	}
}

func TestReplay_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := simulate.Replay(ctx, site(), at(100)); !errors.Is(err, why) {
		t.Errorf("got %v, want the context's cause", err)
	}
}
