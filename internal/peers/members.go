package peers

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// forgetAfter is how long a server is shown that is heard no more.
const forgetAfter = 5 * time.Minute

// Member is a server that a hub has heard.
type Member struct {
	Info
	HeardAt     time.Time // when its last report came
	Differences []string  // of its config from this server's; none = it has the same
}

// members are the servers that a hub has heard.
type members struct {
	log *slog.Logger

	mu    sync.Mutex // guards byID
	known map[string]*member
}

type member struct {
	info    Info
	parts   Parts
	heardAt time.Time
	said    string // the version of a config that the log has been told of
}

// meet takes the hello of a server.
func (m *members) meet(now time.Time, h *hello, own Parts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[h.Info.Name]
	if k == nil {
		k = &member{}
		m.known[h.Info.Name] = k
		m.log.Info("a server follows", "follower", h.Info.Host, "pid", h.Info.PID)
	}
	k.info, k.parts, k.heardAt = h.Info, h.Parts, now
	if pair := own.Version() + k.info.Config; k.said != pair {
		k.said = pair
		if differences := own.Differences(k.parts); len(differences) > 0 {
			m.log.Warn("a server has another config", "follower", k.info.Host, "pid", k.info.PID, "differs", strings.Join(differences, "; "))
		}
	}
}

// hear notes that a report of a server has come.
func (m *members) hear(now time.Time, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.known[name]; k != nil {
		k.heardAt = now
	}
}

// leave forgets a server that has said that it ends.
func (m *members) leave(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.known[name]; k != nil {
		m.log.Info("a server has left", "follower", k.info.Host, "pid", k.info.PID)
		delete(m.known, name)
	}
}

// clear forgets all: whoever is still there comes again.
func (m *members) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.known)
}

// list gives those that are known, in the order of their hosts.
func (m *members) list(now time.Time, own Parts) []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Member
	for name, k := range m.known {
		if now.Sub(k.heardAt) > forgetAfter {
			delete(m.known, name)
			continue
		}
		all = append(all, Member{k.info, k.heardAt, own.Differences(k.parts)})
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID)) })
	return all
}
