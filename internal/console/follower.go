package console

import "bytes"

// follower is one page that is open.
type follower struct {
	hub   *Hub
	topic named
	sees  func(model string) bool
	since uint64
	news  chan struct{} // holds one when something was published
}

// follow begins to follow a topic from a version on.
func (h *Hub) follow(n named, since uint64, sees func(string) bool) *follower {
	h.ensure(n)
	f := &follower{hub: h, topic: n, sees: sees, since: since, news: make(chan struct{}, 1)}
	signal(f.news) // there may be something already
	h.mu.Lock()
	h.followers[f] = true
	h.mu.Unlock()
	signal(h.wake)
	return f
}

func (f *follower) end() {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	delete(f.hub.followers, f)
}

// change is what a page has to do to be as the fleet is.
type change struct {
	target string // ID of the element
	inner  bool   // only what is in it is replaced
	html   []byte
}

// next gives what has changed since it was called last. A page that is slow to take it gets less, not later: each part as it is now. open is false
// where the hub has ended.
func (f *follower) next() (changes []change, version uint64, open bool) {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[f.topic.name]
	if t == nil || h.closed {
		return nil, f.since, !h.closed
	}
	since := f.since
	f.since = h.version
	for _, g := range t.groups {
		if g.container != "" && (g.arrange > since || since > h.version) { // or the version is of another life
			changes = append(changes, change{g.container, true, bytes.Join(g.visible(f.sees), nil)})
			continue
		}
		for _, id := range g.order {
			if d := g.parts[id]; d.version > since && f.sees(d.model) {
				changes = append(changes, change{id, false, d.html})
			}
		}
	}
	return changes, h.version, true
}
