package console

import (
	"bytes"
	"slices"
	"time"
)

// part is one element of a page. What it shows is a comparable value: an equal one is not drawn again.
type part struct {
	id    string // of the element
	model string // whose it is, for visitors who may not see all; "" = for operators
	shows any
}

// group is parts of a page that stand in one element.
type group struct {
	template  string // draws one part
	container string // ID of the element that has them all; "" = they stand apart
	none      emptyText
	parts     func(*state) []part
}

// emptyText is what stands where a group has no part. Its zero value is nothing.
type emptyText struct {
	Title, Text string
	Columns     int // of the table whose rows the parts are; 0 = they are no rows
}

// named is what a topic is about, and its name.
type named struct {
	name   string
	groups []group
}

// topic is what was published of it last.
type topic struct {
	groups []*kept
	asked  time.Time // for the last time by a page
	sent   event     // to the last page that shows everything
}

// kept is a group as it was published last.
type kept struct {
	group
	order   []string
	parts   map[string]*drawn
	none    []byte
	arrange uint64 // version at which parts came or went
}

type drawn struct {
	part
	html    []byte
	version uint64
}

func (h *Hub) newTopic(n named) *topic {
	t := &topic{}
	for _, g := range n.groups {
		k := &kept{group: g, parts: map[string]*drawn{}}
		if g.none != (emptyText{}) {
			k.none = h.draw("none", g.none)
		}
		t.groups = append(t.groups, k)
	}
	return t
}

// publish draws what has changed. The caller holds mu.
func (h *Hub) publish(t *topic) {
	for _, g := range t.groups {
		parts := g.group.parts(h.now)
		order := make([]string, len(parts))
		next := make(map[string]*drawn, len(parts))
		for i, p := range parts {
			order[i] = p.id
			was := g.parts[p.id]
			if was == nil || was.shows != p.shows {
				h.version++
				was = &drawn{part: p, html: h.draw(g.template, p.shows), version: h.version}
			}
			next[p.id] = was
		}
		if !slices.Equal(order, g.order) {
			h.version++
			g.arrange = h.version
		}
		g.order, g.parts = order, next
	}
}

func (h *Hub) draw(template string, shows any) []byte {
	var b bytes.Buffer
	if err := templates().ExecuteTemplate(&b, template, shows); err != nil {
		h.log.Error("drawing a part of a page failed", "template", template, "reason", err)
	}
	return b.Bytes()
}

// visible gives the parts that a visitor may see, drawn; where there are none, what is said instead.
func (g *kept) visible(sees func(model string) bool) (all [][]byte) {
	for _, id := range g.order {
		if d := g.parts[id]; sees == nil || sees(d.model) {
			all = append(all, d.html)
		}
	}
	if len(all) == 0 && g.none != nil {
		all = append(all, g.none)
	}
	return all
}

// page gives the parts of each group of a topic that a visitor may see, drawn, and the version from which on to follow it.
func (h *Hub) page(n named, sees func(model string) bool) (groups [][][]byte, version uint64) {
	h.ensure(n)
	h.look(fresh)
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[n.name]; t != nil {
		for _, g := range t.groups {
			groups = append(groups, g.visible(sees))
		}
	}
	return groups, h.version
}

// ensure makes the topic, with its parts as the fleet was when it was looked at last.
func (h *Hub) ensure(n named) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[n.name]
	if t == nil {
		t = h.newTopic(n)
		h.topics[n.name] = t
		if h.now != nil {
			h.publish(t)
		}
	}
	t.asked = time.Now()
}
