package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// busyState is one of a server where something of everything happens.
func busyState() *topState {
	at := admin.Time{Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	ago := func(d time.Duration) admin.Time { return admin.Time{Time: at.Add(-d)} }
	eta := int64(21_400_000)
	return &topState{
		At: at, Server: "127.0.0.1:8081",
		Models: []admin.Model{
			{ID: "acme/cold", State: "cold", GPUs: 1, Desired: admin.Desired{Reason: "no requests"}},
			{ID: "acme/hot", State: "hot", GPUs: 2, Hot: 1, Inflight: 3, Desired: admin.Desired{Reason: "3 are in flight"}},
			{ID: "acme/waits", State: "starting", GPUs: 4, Starting: 1, Waiting: 3, Outlook: admin.Outlook{Answer: fleet.StartingUp, ETAUS: &eta, Reason: "loading"}, Desired: admin.Desired{Reason: "3 requests waiting"}},
		},
		Pools: []admin.Pool{{Name: "h100", GPUsPerSlot: 8, Live: []admin.Slot{
			{ID: "s-1", GPUs: 8, Occupants: []string{"i-1", "i-1", "", "", "", "", "", ""}, Reserved: []admin.Reservation{{Instance: "i-2", GPU: 4, GPUs: 4}}, Parked: []string{"i-3"}},
			{ID: "s-2", GPUs: 8, Pending: true, Occupants: make([]string, 8)},
		}}},
		Instances:   []admin.Instance{{ID: "i-1", Model: "acme/hot", State: fleet.Ready, Slot: "s-1", GPUs: 2}, {ID: "i-4", Model: "acme/own", State: fleet.Ready, Node: "n", GPUs: 1}},
		Activations: []admin.Activation{{Model: "acme/waits", From: fleet.Cold, BeganAt: ago(75 * time.Second), Phases: []admin.PhaseTime{{Phase: fleet.PhaseQueued}, {Phase: fleet.PhaseLoading}}}},
		Queue: &admin.Queue{Total: 4, Waiting: []admin.Waiting{
			{Model: "acme/waits", Org: "b", Since: ago(2 * time.Second)}, {Model: "acme/waits", Org: "a", Since: ago(75 * time.Second)}, {Model: "acme/waits", Org: "a", Since: ago(time.Second)},
		}},
	}
}

func TestTop_Draws(t *testing.T) {
	want := `pilotlight 127.0.0.1:8081  ready  12:00:00 UTC
3 models: 1 hot, 1 starting, 0 parked, 1 cold; 3 waiting, 3 in flight

POOL       AWAKE  RESERVED  FREE  GPUS  PARKED  SLOTS  # awake  + reserved  . free  ? on its way
h100           2         4     2    16       1  ##..++++ ????????
(no pool)      1         -     -     -       -  -

STARTING    FROM  PHASE    SINCE  LEFT
acme/waits  cold  loading  1m15s  ~21s

WAITING FOR  ORG  REQUESTS  LONGEST  WHY
acme/waits   a           2    1m15s  starting: loading
acme/waits   b           1     2.0s  starting: loading
… 1 more request

MODEL       STATE     GPUS  HOT  STARTING  PARKED  WAITING  INFLIGHT  WHY
acme/waits  starting     4              1                3            3 requests waiting
acme/hot    hot          2    1                                    3  3 are in flight
acme/cold   cold         1                                            no requests`
	if diff := cmp.Diff(want, strings.Join(topView{state: busyState()}.all(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTop_FitsTheScreen at every size, with colours and without, wherever it is scrolled to.
func TestTop_FitsTheScreen(t *testing.T) {
	s := busyState()
	for i := range 200 {
		s.Models = append(s.Models, admin.Model{ID: fmt.Sprintf("acme/m-%03d", i), State: "cold", GPUs: 1})
		s.Queue.Waiting = append(s.Queue.Waiting, admin.Waiting{Model: "acme/waits", Org: fmt.Sprint(i), Since: s.At})
	}
	var codes []string
	for _, code := range []string{"0", bold, alarm, "32", "33", "34", "2"} {
		codes = append(codes, "\x1b["+code+"m", "")
	}
	uncoloured := strings.NewReplacer(codes...)
	for _, size := range [][2]int{{80, 24}, {200, 60}, {20, 5}, {1, 1}, {40, 2}, {300, 400}} {
		for _, colour := range []bool{false, true} {
			v := topView{state: s, width: size[0], height: size[1], colour: colour}
			for range 30 {
				lines := v.screen()
				if len(lines) > size[1] {
					t.Fatalf("%v: got %d lines", size, len(lines))
				}
				for _, l := range lines {
					plain := uncoloured.Replace(l)
					if len([]rune(plain)) > size[0] || strings.Contains(plain, "\x1b") {
						t.Fatalf("%v: %q is too wide, or cut in a colour", size, l)
					}
					if strings.Contains(l, "\x1b") && !strings.HasSuffix(l, "\x1b[0m") && strings.Count(l, "\x1b[0m") == 0 {
						t.Fatalf("%v: %q leaves its colour on", size, l)
					}
				}
				v.scroll(keyPageDown)
			}
		}
	}
}

func TestTop_Scrolls(t *testing.T) {
	s := busyState()
	for i := range 50 {
		s.Models = append(s.Models, admin.Model{ID: fmt.Sprintf("acme/m-%03d", i), State: "cold", GPUs: 1})
	}
	v := topView{state: s, width: 100, height: 24}
	shown := func() string { return strings.Join(v.screen(), "\n") }
	if !strings.Contains(shown(), "acme/waits  starting") || strings.Contains(shown(), "acme/m-049") {
		t.Errorf("at first the busy ones are shown:\n%s", shown())
	}
	for range 20 {
		v.scroll(keyPageDown)
	}
	if !strings.Contains(shown(), "acme/m-049") || !strings.Contains(shown(), "of 53 models") {
		t.Errorf("at the end the last one is shown:\n%s", shown())
	}
	v.scroll(keyTop)
	if !strings.Contains(shown(), "acme/waits  starting") {
		t.Errorf("back at the top:\n%s", shown())
	}
}

func TestTop_OffATerminal(t *testing.T) {
	s := startDev(t, t.TempDir(), "--sim-speed", "1000")
	ask := func(args ...string) (code int, out, talk string) {
		var stdout, stderr strings.Builder
		env := quietEnv()
		env.Stdout, env.Stderr = &stdout, &stderr
		env.Getenv = func(name string) string { return map[string]string{addrVariable: s.Admin}[name] }
		code = run(t.Context(), append(args, "--data-dir", s.DataDir), env)
		return code, stdout.String(), stderr.String()
	}
	if code, out, talk := ask("top", "--once"); code != 0 || talk != "" || !strings.Contains(out, "8 models") || strings.Contains(out, "\x1b") {
		t.Errorf("--once: got %d, %q, %q", code, out, talk)
	}
	if code, out, _ := ask("top", "--json"); code != 0 || !strings.Contains(out, `"activations": []`) || !strings.HasPrefix(out, "{") {
		t.Errorf("--json: got %d, %q", code, out)
	}
	if code, out, talk := ask("top"); code != 1 || out != "" || !strings.Contains(talk, "--once") {
		t.Errorf("off a terminal: got %d, %q, %q", code, out, talk)
	}
	if code, _, talk := ask("top", "--every", "1ms"); code != 1 || !strings.Contains(talk, "--every must be 100ms or more") {
		t.Errorf("--every 1ms: got %d, %q", code, talk)
	}
}
