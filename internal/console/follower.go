package console

import (
	"bytes"
	"fmt"
	"strings"
)

// follower is one page that is open.
type follower struct {
	hub   *Hub
	topic named
	sees  func(model string) bool // nil = everything
	since uint64
	news  chan struct{} // holds one when something was published
}

// follow begins to follow a topic from a version on. sees nil = the page shows everything.
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

// event is what a page has to do to be as the fleet was at a version, as a server-sent event.
type event struct {
	since, version uint64
	text           []byte // empty = nothing
}

// next gives what has changed since it was called last. A page that is slow to take it gets less, not later: each part as it is now. It is written once
// for all pages that show everything and have seen the same. open is false where the hub has ended.
func (f *follower) next() (text []byte, open bool) {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[f.topic.name]
	if t == nil || h.closed {
		return nil, !h.closed
	}
	since := f.since
	f.since = h.version
	if f.sees != nil {
		return t.write(since, h.version, f.sees), true
	}
	if t.sent.since != since || t.sent.version != h.version {
		t.sent = event{since, h.version, t.write(since, h.version, nil)}
	}
	return t.sent.text, true
}

// write writes what has changed since a version.
func (t *topic) write(since, version uint64, sees func(string) bool) []byte {
	var b bytes.Buffer
	for _, g := range t.groups {
		if g.container != "" && (g.arrange > since || since > version) { // or the version is of another life
			writePartial(&b, g.container, "innerHTML", bytes.Join(g.visible(sees), nil))
			continue
		}
		for _, id := range g.order {
			if d := g.parts[id]; d.version > since && (sees == nil || sees(d.model)) {
				writePartial(&b, id, "outerHTML", d.html)
			}
		}
	}
	if b.Len() == 0 {
		return nil
	}
	fmt.Fprintf(&b, "id: %d\n\n", version)
	return b.Bytes()
}

// writePartial writes, as htmx takes it, that an element, or what is in it, is replaced.
func writePartial(b *bytes.Buffer, target, swap string, html []byte) {
	text := fmt.Sprintf(`<hx-partial hx-target="#%s" hx-swap="%s">%s</hx-partial>`, target, swap, html)
	for line := range strings.Lines(text) {
		b.WriteString("data: ")
		b.WriteString(strings.TrimRight(line, "\r\n"))
		b.WriteByte('\n')
	}
}
