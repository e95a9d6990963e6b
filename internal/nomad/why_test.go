//go:build unix

package nomad_test

import (
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestNomad_SaysWhyAnEngineEnded has engines end in ways that a node without a container knows.
func TestNomad_SaysWhyAnEngineEnded(t *testing.T) {
	w := begin(t, cluster.Config{Nodes: 1, GPUs: 8})
	cases := map[string]struct {
		command []string
		reason  string
		cause   fleet.Cause
	}{
		"org/exits":   {[]string{"/bin/sh", "-c", "exit 3"}, "exited with code 3", fleet.CauseEngine},
		"org/done":    {[]string{"/bin/true"}, "exited with code 0", fleet.CauseEngine},
		"org/killed":  {[]string{"/bin/sh", "-c", "kill -TERM $$"}, "killed by signal 15", fleet.CauseEngine},
		"org/missing": {[]string{"/nowhere/engine"}, "/nowhere/engine", fleet.CausePlace},
	}
	for id, c := range cases {
		w.cfg.Models = append(w.cfg.Models, &fleet.Model{ID: id, GPUs: 1, Engine: fleet.EngineSpec{
			Kind: fleet.EngineOpenAI, Driver: "raw_exec", Command: c.command, Memory: 1 << 28, CPU: 100,
		}})
	}
	w.Nomad = w.backend(nil)
	w.watch(w.Nomad, w.said)
	for id := range cases {
		w.act(fleet.ActLaunch, strings.TrimPrefix(id, "org/"), id)
	}
	for left := len(cases); left > 0; {
		for _, s := range w.told().Instances {
			c, open := cases[s.Model]
			if !open || !s.Gone {
				continue
			}
			delete(cases, s.Model)
			left--
			if !strings.Contains(s.Failure, c.reason) || s.Cause != c.cause || strings.Contains(s.Failure, "restart") {
				t.Errorf("%s has ended with %q, blamed on %q; want %q, blamed on %q", s.Model, s.Failure, s.Cause, c.reason, c.cause)
			}
		}
	}
}
