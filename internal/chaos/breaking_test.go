//go:build linux

package chaos_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type (
	choice = func(*site, *rand.Rand) *process
	begin  = func(*site, *rand.Rand) (string, func() error, error)
)

// killed ends a process as kill -9 does; the end starts it again.
func killed(which choice) begin {
	return func(s *site, random *rand.Rand) (string, func() error, error) {
		p := which(s, random)
		if p == nil {
			return "", nil, errNothing
		}
		return p.name, p.start, p.kill()
	}
}

// stopped keeps a process from running; the end lets it go on where it was.
func stopped(which choice) begin {
	return func(s *site, random *rand.Rand) (string, func() error, error) {
		p := which(s, random)
		if p == nil {
			return "", nil, errNothing
		}
		return p.name, func() error { return p.signal(syscall.SIGCONT) }, p.signal(syscall.SIGSTOP)
	}
}

// toldToStop has a process end in order; the end starts it again.
func toldToStop(which choice) begin {
	return func(s *site, random *rand.Rand) (string, func() error, error) {
		p := which(s, random)
		if p == nil {
			return "", nil, errNothing
		}
		return p.name, p.start, p.stop(2 * time.Minute)
	}
}

// controlCut takes a machine of the Nomad and Consul servers from all others.
func controlCut(s *site, random *rand.Rand) (string, func() error, error) {
	m := pick(random, s.controls)
	return m.name, m.heal, m.cut(s.others(m)...)
}

// nodeCut takes a node from Nomad's and Consul's servers. Its engines are reached.
func nodeCut(s *site, random *rand.Rand) (string, func() error, error) {
	m := pick(random, s.nodes)
	return m.name, m.heal, m.cut(s.controls...)
}

// nodeUnreachable takes a node from the Pilotlights alone: Nomad and Consul call it healthy.
func nodeUnreachable(s *site, random *rand.Rand) (string, func() error, error) {
	m := pick(random, s.nodes)
	return m.name, m.heal, m.cut(s.servers()...)
}

// serverCut takes a Pilotlight from Nomad and Consul. It reaches engines, the store and its callers.
func serverCut(s *site, random *rand.Rand) (string, func() error, error) {
	l := pick(random, s.lights)
	l.hold(true, l.nomad)
	heal := func() error {
		l.hold(false, l.nomad)
		return l.machine.heal()
	}
	return l.machine.name, heal, l.machine.cut(s.controls...)
}

// leaderCut takes the Pilotlight that leads from Nomad, Consul and the other ones. It reaches engines, the store and its callers.
func leaderCut(s *site, _ *rand.Rand) (string, func() error, error) {
	l := s.leading()
	if l == nil {
		return "", nil, errNothing
	}
	others := slices.DeleteFunc(s.servers(), func(m *machine) bool { return m == l.machine })
	l.hold(true, l.nomad)
	heal := func() error {
		l.hold(false, l.nomad)
		return l.machine.heal()
	}
	return l.machine.name, heal, l.machine.cut(append(others, s.controls...)...)
}

// serversCut takes a Pilotlight from the other ones alone.
func serversCut(s *site, random *rand.Rand) (string, func() error, error) {
	m := pick(random, s.servers())
	return m.name, m.heal, m.cut(slices.DeleteFunc(s.servers(), func(o *machine) bool { return o == m })...)
}

// nodeUnreachableForOne takes a node from one Pilotlight.
func nodeUnreachableForOne(s *site, random *rand.Rand) (string, func() error, error) {
	m, node := pick(random, s.servers()), pick(random, s.nodes)
	return node.name + " for " + m.name, m.heal, m.cut(node)
}

// allKilled ends all Pilotlights as kill -9 does; the end starts them again.
func allKilled(s *site, _ *rand.Rand) (whom string, end func() error, err error) {
	for _, l := range s.lights {
		err = errors.Join(err, l.kill())
	}
	return "all servers", func() (err error) {
		for _, l := range s.lights {
			err = errors.Join(err, l.start())
		}
		return err
	}, err
}

// without holds back all that goes between a Pilotlight and something else.
func without(which func(*site, *rand.Rand) *light, what func(*light) []*proxy) begin {
	return func(s *site, random *rand.Rand) (string, func() error, error) {
		l := which(s, random)
		if l == nil {
			return "", nil, errNothing
		}
		l.hold(true, what(l)...)
		return l.machine.name, func() error {
			l.hold(false, what(l)...)
			return nil
		}, nil
	}
}

// hold holds back what goes through proxies, or lets it pass again.
func (l *light) hold(back bool, proxies ...*proxy) {
	for _, p := range proxies {
		p.held.Store(back)
	}
}

func aLight(s *site, random *rand.Rand) *light { return pick(random, s.lights) }

func (s *site) leads(*rand.Rand) *light { return s.leading() }

// packetsLost has a machine lose a share of what comes in.
func packetsLost(s *site, random *rand.Rand) (string, func() error, error) {
	m := pick(random, append(append(s.servers(), s.nodes...), s.controls...))
	share := 0.05 + 0.2*random.Float64()
	return fmt.Sprintf("%s, %.0f %%", m.name, 100*share), m.heal, m.lose(share)
}

// others are all machines but one.
func (s *site) others(m *machine) (out []*machine) {
	for _, o := range append(append(s.servers(), s.nodes...), s.controls...) {
		if o != m {
			out = append(out, o)
		}
	}
	return out
}

// slow delays what a Pilotlight has with an agent, each way.
func slow(of func(*light) *proxy) begin {
	return func(s *site, random *rand.Rand) (string, func() error, error) {
		l := pick(random, s.lights)
		by := 50*time.Millisecond + time.Duration(random.Int64N(int64(300*time.Millisecond)))
		return fmt.Sprintf("%s, %v each way", l.machine.name, by.Round(time.Millisecond)), of(l).slow(by), nil
	}
}

func storeSlow(s *site, random *rand.Rand) (string, func() error, error) {
	by := 20*time.Millisecond + time.Duration(random.Int64N(int64(150*time.Millisecond)))
	return fmt.Sprintf("%v each way", by.Round(time.Millisecond)), s.store.slow(by), nil
}

// slow delays what is passed on, until what it gives is called.
func (p *proxy) slow(by time.Duration) func() error {
	p.delay.Store(int64(by))
	return func() error {
		p.delay.Store(0)
		return nil
	}
}

// storeUnreachable holds back all that goes to and comes from the store.
func storeUnreachable(s *site, _ *rand.Rand) (string, func() error, error) {
	s.store.held.Store(true)
	return "Postgres", func() error {
		s.store.held.Store(false)
		return nil
	}, nil
}

func storeStopped(s *site, _ *rand.Rand) (string, func() error, error) {
	return "Postgres", func() error { return s.postgres.Signal(syscall.SIGCONT) }, s.postgres.Signal(syscall.SIGSTOP)
}

func storeRestarted(s *site, _ *rand.Rand) (string, func() error, error) {
	return "Postgres", s.postgres.Restart, s.postgres.Stop()
}

// engines are the processes of engines; slots those of slots' supervisors.
func (s *site) engines() (pids []int) {
	return append(processes(s.Sim), processes(s.Pilotlight, "trtsim")...)
}

func (s *site) slots() []int { return processes(s.Pilotlight, "slot") }

// processes are those, zombies excepted, whose command line begins with the words.
func processes(words ...string) (pids []int) {
	begin := strings.Join(words, "\x00") + "\x00"
	for pid, line := range commandLines() {
		if strings.HasPrefix(line, begin) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// commandLines are those of all processes, which are the test's alone. Zombies have none.
func commandLines() map[int]string {
	out := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && len(line) > 0 {
			out[pid] = string(line)
		}
	}
	return out
}

// engineKilled and engineStopped hit any engine.
func engineKilled(s *site, random *rand.Rand) (string, func() error, error) {
	return signalled(random, s.engines(), syscall.SIGKILL, nil)
}

func engineStopped(s *site, random *rand.Rand) (string, func() error, error) {
	return signalled(random, s.engines(), syscall.SIGSTOP, func(pid int) error {
		if err := syscall.Kill(pid, syscall.SIGCONT); !errors.Is(err, syscall.ESRCH) { // it may have been replaced
			return err
		}
		return nil
	})
}

func slotKilled(s *site, random *rand.Rand) (string, func() error, error) {
	return signalled(random, s.slots(), syscall.SIGKILL, nil)
}

func signalled(random *rand.Rand, pids []int, with syscall.Signal, mend func(pid int) error) (string, func() error, error) {
	if len(pids) == 0 {
		return "", nil, errNothing
	}
	pid := pick(random, pids)
	whom := strings.Join(strings.Split(commandLines()[pid], "\x00"), " ")
	var end func() error
	if mend != nil {
		end = func() error { return mend(pid) }
	}
	err := syscall.Kill(pid, with)
	if errors.Is(err, syscall.ESRCH) { // it has just ended
		return "", nil, errNothing
	}
	return whom[:min(len(whom), 120)], end, err
}

// nodeDrained drains a node; the end makes it eligible.
func nodeDrained(s *site, random *rand.Rand) (string, func() error, error) {
	m := pick(random, s.nodes)
	var nodes []struct{ ID, Name string }
	if err := s.askNomad(http.MethodGet, "/v1/nodes", nil, &nodes); err != nil {
		return "", nil, err
	}
	for _, n := range nodes {
		if n.Name != "nomad-"+m.name {
			continue
		}
		drain := func(spec any) error {
			return within(30*time.Second, func() error {
				return s.askNomad(http.MethodPut, "/v1/node/"+n.ID+"/drain", map[string]any{"DrainSpec": spec, "MarkEligible": spec == nil}, nil)
			})
		}
		return m.name, func() error { return drain(nil) }, drain(map[string]any{"Deadline": int64(20 * time.Second)})
	}
	return "", nil, errNothing
}

// diskFull fills a machine's disk.
func diskFull(of func(*site) []*machine) begin {
	return func(s *site, random *rand.Rand) (string, func() error, error) {
		m := pick(random, of(s))
		free, err := m.fill()
		return m.name, free, err
	}
}
