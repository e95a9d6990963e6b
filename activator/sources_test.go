package activator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// mouth is an observer that says what it is given, and breaks off when it is told to.
type mouth struct {
	says   chan fleet.Observation
	breaks chan error
}

func newMouth() *mouth { return &mouth{make(chan fleet.Observation), make(chan error)} }

func (m *mouth) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	for {
		select {
		case o := <-m.says:
			o.At = time.Now()
			tell(o)
		case err := <-m.breaks:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *mouth) say(o fleet.Observation) {
	m.says <- o
	synctest.Wait()
}

// listen runs a test in virtual time with an activator that hears one observer, and its log.
func listen(t *testing.T, models []*fleet.Model, test func(a *activator.Activator, m *mouth, log *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, log := newMouth(), &bytes.Buffer{}
		a, err := activator.New(activator.Config{
			Backend: newWorld(t), Observers: []activator.Observer{m}, Models: models, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}),
			Log: slog.New(slog.NewTextHandler(log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		synctest.Wait()
		test(a, m, log)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestSources_TellWhoIsLostSinceWhenAndWhy(t *testing.T) {
	listen(t, nil, func(a *activator.Activator, m *mouth, log *bytes.Buffer) {
		began := time.Now()
		want := func(want ...fleet.SourceStatus) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, a.Sources()); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
		}
		metrics := func(want ...string) {
			t.Helper()
			var b bytes.Buffer
			a.Metrics().WritePrometheus(&b)
			for _, line := range want {
				if !strings.Contains(b.String(), "pilotlight_source_up"+line+"\n") {
					t.Errorf("got %s, want %s", b.String(), line)
				}
			}
		}
		want()
		away := fmt.Errorf("dialing 10.0.0.1: %w", fleet.ErrUnreachable)
		m.say(fleet.Observation{Source: "nomad", Lost: away}) // it has never spoken
		want(fleet.SourceStatus{Name: "nomad", Lost: away.Error(), Since: began})
		time.Sleep(time.Minute)
		m.say(fleet.Observation{Source: "nomad", Lost: away})
		refused := fmt.Errorf("listing jobs: %w", fleet.ErrDenied)
		m.say(fleet.Observation{Source: "nomad", Lost: refused})
		want(fleet.SourceStatus{Name: "nomad", Lost: refused.Error(), Denied: true, Since: began})
		metrics(`{source="nomad"} 0`)
		m.say(fleet.Observation{Source: "nomad", Complete: true, Nodes: []fleet.Node{}})
		minute := began.Add(time.Minute)
		want(fleet.SourceStatus{Name: "nomad", Since: minute})
		m.say(fleet.Observation{Source: "slot/a", Complete: true, Slots: []fleet.Slot{{ID: "a", Pool: "p", GPUs: 8}}})
		m.say(fleet.Observation{Source: "slot/b", Complete: true, Slots: []fleet.Slot{{ID: "b", Pool: "p", GPUs: 8}}})
		metrics(`{source="nomad"} 1`, `{source="slots"} 1`)
		m.say(fleet.Observation{Source: "slot/a", Lost: away})
		metrics(`{source="nomad"} 1`, `{source="slots"} 0`)
		m.say(fleet.Observation{Source: "slot/a", Complete: true, Slots: []fleet.Slot{}})
		metrics(`{source="slots"} 1`)
		want(fleet.SourceStatus{Name: "nomad", Since: minute}, fleet.SourceStatus{Name: "slot/b", Since: minute})
		for line, times := range map[string]int{`msg="source lost" source=nomad`: 2, `msg="source is back" source=nomad after=1m0s`: 1} {
			if got := strings.Count(log.String(), line); got != times {
				t.Errorf("the log says %d times %s, want %d:\n%s", got, line, times, log)
			}
		}
	})
}

func TestSources_AWatchThatBreaksOffIsALostSource(t *testing.T) {
	listen(t, nil, func(a *activator.Activator, m *mouth, log *bytes.Buffer) {
		m.say(fleet.Observation{Source: "consul"})
		m.breaks <- errors.New("it has hung up")
		synctest.Wait()
		if got := a.Sources(); len(got) != 1 || got[0].Lost != "it has hung up" {
			t.Errorf("got %+v, want that it is lost", got)
		}
		m.say(fleet.Observation{Source: "consul"})
		if got := a.Sources(); len(got) != 1 || got[0].Lost != "" {
			t.Errorf("got %+v, want that it is back", got)
		}
	})
}

func TestSources_WhoWaitsIsToldThatTheBackEndIsLostOrRefusesAToken(t *testing.T) {
	listen(t, []*fleet.Model{model("a", 4)}, func(a *activator.Activator, m *mouth, _ *bytes.Buffer) {
		_, waiter, err := a.Acquire(activator.Ask{Model: "a"})
		if err != nil {
			t.Fatal(err)
		}
		defer waiter.Leave()
		told := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := waiter.Outlook().Reason; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		told("the back end has not said yet what runs")
		m.say(fleet.Observation{Source: "nomad", Lost: fmt.Errorf("dialing 10.0.0.1: %w", fleet.ErrUnreachable)})
		told("the back end cannot be reached")
		m.say(fleet.Observation{Source: "nomad", Lost: fmt.Errorf("listing: %w", fleet.ErrDenied)})
		told("the back end refuses this server's token, or a right")
	})
}
