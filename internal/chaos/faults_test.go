//go:build linux

package chaos_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"time"
)

// fault is one thing that breaks.
type fault struct {
	kind string
	// begin breaks it, and gives whom that has hit, and what mends it, which may be nil. Where there is nothing to break just now, it gives errNothing.
	begin func(s *site, random *rand.Rand) (whom string, end func() error, err error)
	// recovery is how long after the end everything must work again; 0 = usual.
	recovery time.Duration
	// servers is how many Pilotlights it needs; 0 = one.
	servers int
	// failOver: requests on a hot model go on as if nothing was, but for those of the server that it hits.
	failOver bool
}

// usualRecovery is far longer than anything takes: each recovery is measured, and the outcome says the longest of each kind.
const usualRecovery = 90 * time.Second

var errNothing = errors.New("there is nothing to break")

// faults are all kinds.
var faults = []fault{
	{kind: "nomad-leader-killed", begin: killed(leadingNomad)},
	{kind: "nomad-follower-killed", begin: killed(followingNomad)},
	{kind: "nomad-leader-stopped", begin: stopped(leadingNomad)},
	{kind: "nomad-client-killed", begin: killed(aClient)},
	{kind: "consul-leader-killed", begin: killed(leadingConsul)},
	{kind: "consul-follower-killed", begin: killed(followingConsul)},
	{kind: "consul-leader-stopped", begin: stopped(leadingConsul)},
	{kind: "consul-agent-killed", begin: killed(anAgent)},
	{kind: "consul-agent-stopped", begin: stopped(anAgent)},

	{kind: "control-cut", begin: controlCut},
	{kind: "node-cut", begin: nodeCut},
	{kind: "node-unreachable", begin: nodeUnreachable},
	{kind: "server-cut", begin: serverCut},
	{kind: "packets-lost", begin: packetsLost},

	{kind: "consul-slow", begin: slow(func(l *light) *proxy { return l.consul })},
	{kind: "nomad-slow", begin: slow(func(l *light) *proxy { return l.nomad })},
	{kind: "server-without-nomad", begin: without(aLight, func(l *light) []*proxy { return []*proxy{l.nomad} })},
	{kind: "server-without-store", begin: without(aLight, func(l *light) []*proxy { return []*proxy{l.store} })},
	{kind: "server-store-slow", begin: slow(func(l *light) *proxy { return l.store })},
	{kind: "server-without-node", begin: nodeUnreachableForOne},
	{kind: "servers-cut", begin: serversCut, servers: 2},
	{kind: "store-slow", begin: storeSlow},
	{kind: "store-unreachable", begin: storeUnreachable},
	{kind: "store-stopped", begin: storeStopped},
	{kind: "store-restarted", begin: storeRestarted},

	{kind: "engine-killed", begin: engineKilled},
	{kind: "engine-stopped", begin: engineStopped, recovery: 2 * time.Minute},
	{kind: "slot-killed", begin: slotKilled},
	{kind: "node-drained", begin: nodeDrained},

	{kind: "control-disk-full", begin: diskFull(func(s *site) []*machine { return s.controls })},
	{kind: "node-disk-full", begin: diskFull(func(s *site) []*machine { return s.nodes })},
	{kind: "server-disk-full", begin: diskFull((*site).servers)},

	{kind: "leader-killed", begin: killed(leader), failOver: true},
	{kind: "leader-stopped", begin: stopped(leader), failOver: true},
	{kind: "leader-told-to-stop", begin: toldToStop(leader), failOver: true},
	{kind: "leader-without-consul", begin: without((*site).leads, func(l *light) []*proxy { return []*proxy{l.consul} }), failOver: true},
	{kind: "leader-cut", begin: leaderCut, servers: 2, failOver: true},
	{kind: "follower-killed", begin: killed(follower), servers: 2, failOver: true},
	{kind: "follower-stopped", begin: stopped(follower), servers: 2, failOver: true},
	{kind: "follower-told-to-stop", begin: toldToStop(follower), servers: 2, failOver: true},
	{kind: "all-killed", begin: allKilled, servers: 2},
}

// servers are the machines of the Pilotlights.
func (s *site) servers() (out []*machine) {
	for _, l := range s.lights {
		out = append(out, l.machine)
	}
	return out
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

// Choices of processes; nil = there is none just now.

func leadingNomad(s *site, _ *rand.Rand) *process  { return s.nomads[s.leaderOf(s.nomads)] }
func leadingConsul(s *site, _ *rand.Rand) *process { return s.consuls[s.leaderOf(s.consuls)] }

func followingNomad(s *site, random *rand.Rand) *process {
	return following(s, random, s.nomads)
}

func followingConsul(s *site, random *rand.Rand) *process {
	return following(s, random, s.consuls)
}

func following(s *site, random *rand.Rand, agents map[*machine]*process) *process {
	leads := s.leaderOf(agents)
	var others []*process
	for _, m := range s.controls {
		if m != leads {
			others = append(others, agents[m])
		}
	}
	return pick(random, others)
}

func aClient(s *site, random *rand.Rand) *process { return s.nomads[pick(random, s.nodes)] }

// anAgent is the Consul agent of a node or of a Pilotlight.
func anAgent(s *site, random *rand.Rand) *process {
	return s.consuls[pick(random, append(s.servers(), s.nodes...))]
}

func leader(s *site, _ *rand.Rand) *process {
	if l := s.leading(); l != nil {
		return l.process
	}
	return nil
}

func follower(s *site, _ *rand.Rand) *process {
	leads := s.leading()
	for _, l := range s.lights {
		if leads != nil && l != leads {
			return l.process
		}
	}
	return nil
}

// leads is how a server's log says that it leads from now on.
const leads = `msg="this server leads"`

// ledSince is when a Pilotlight led for the first time after a moment; zero = none has.
func (s *site) ledSince(since time.Time) (first time.Time) {
	for _, l := range s.lights {
		for line := range strings.Lines(l.lastWords(4 << 20)) {
			text, _, is := strings.Cut(line, " ")
			at, err := time.Parse(time.RFC3339, strings.TrimPrefix(text, "time="))
			if is && err == nil && strings.Contains(line, leads) && at.After(since) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first
}

// leading is the Pilotlight that leads; nil = none says so.
func (s *site) leading() *light {
	for _, asked := range s.lights {
		var list struct {
			Servers []struct {
				PID    int
				Leader bool
			}
		}
		if s.askLight(asked, "/api/servers", &list) != nil {
			continue
		}
		for _, l := range s.lights {
			for _, entry := range list.Servers {
				if entry.Leader && entry.PID == l.pid() {
					return l
				}
			}
		}
	}
	return nil
}
