package console

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	lookPause = 200 * time.Millisecond // between two looks at the fleet, however much happens
	lookWait  = time.Second            // until the next look where nothing is told: levels change without a notice
	fresh     = 100 * time.Millisecond // so old may a state be that a page begins with
)

// Hub publishes what the fleet is like as parts of pages. It looks at the fleet once for all pages that are open, draws a part once when what it shows has
// changed, and sends nobody a part that has not. While no page is open it does nothing.
type Hub struct {
	source Fleet
	log    *slog.Logger
	wake   chan struct{} // holds one when somebody begins to follow

	looking sync.Mutex // one look at a time

	mu        sync.Mutex // guards what follows
	at        time.Time  // of the last look
	version   uint64     // counts changes of parts
	snapshot  *fleet.Snapshot
	topics    map[string]*topic // those that somebody has asked for
	followers map[*follower]bool
	closed    bool
}

// part is one element of a page. What it shows is a comparable value: an equal one is not drawn again.
type part struct {
	id    string // of the element
	model string // whose it is, for visitors who may not see all; "" = for operators
	shows any
}

// subject is what a topic is about: the parts of it, in order, and where they stand.
type subject struct {
	template  string // draws one part
	container string // ID of the element that has them all
	parts     func(*fleet.Snapshot) []part
}

// topic is a subject as it was published last.
type topic struct {
	subject
	order   []string
	kept    map[string]*drawn
	arrange uint64    // version at which parts came or went
	asked   time.Time // for the last time by a page
}

type drawn struct {
	part
	html    []byte
	version uint64
}

func newHub(source Fleet, log *slog.Logger) *Hub {
	return &Hub{source: source, log: log, wake: make(chan struct{}, 1), topics: map[string]*topic{}, followers: map[*follower]bool{}}
}

// run looks at the fleet while anybody follows.
func (h *Hub) run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	var following sync.WaitGroup
	following.Go(func() {
		_ = h.source.Follow(ctx, math.MaxUint64, func(fleet.Notice) error {
			signal(changed)
			return nil
		})
	})
	defer following.Wait()
	defer h.close()
	for ctx.Err() == nil {
		if !h.anybody() {
			select {
			case <-ctx.Done():
			case <-h.wake:
			}
			continue
		}
		h.look(0)
		select {
		case <-ctx.Done():
		case <-time.After(lookPause):
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-h.wake:
		case <-time.After(lookWait - lookPause):
		}
	}
	return nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (h *Hub) anybody() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.followers) > 0
}

func (h *Hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for f := range h.followers {
		signal(f.news)
	}
}

// look publishes what the fleet is like now, unless what is published is younger than that.
func (h *Hub) look(age time.Duration) *fleet.Snapshot {
	h.looking.Lock()
	defer h.looking.Unlock()
	h.mu.Lock()
	if h.snapshot != nil && age > 0 && time.Since(h.at) < age {
		defer h.mu.Unlock()
		return h.snapshot
	}
	h.mu.Unlock()
	now := h.source.Snapshot()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snapshot, h.at = now, time.Now()
	before := h.version
	for name, t := range h.topics {
		if time.Since(t.asked) > time.Minute && !h.followed(name) {
			delete(h.topics, name)
			continue
		}
		h.publish(t)
	}
	if h.version > before {
		for f := range h.followers {
			signal(f.news)
		}
	}
	return now
}

func (h *Hub) followed(name string) bool {
	for f := range h.followers {
		if f.topic.name == name {
			return true
		}
	}
	return false
}

// publish draws what has changed. The caller holds mu.
func (h *Hub) publish(t *topic) {
	parts := t.parts(h.snapshot)
	order := make([]string, len(parts))
	next := make(map[string]*drawn, len(parts))
	for i, p := range parts {
		order[i] = p.id
		was := t.kept[p.id]
		if was == nil || was.shows != p.shows {
			h.version++
			was = &drawn{part: p, html: h.draw(t.template, p.shows), version: h.version}
		}
		next[p.id] = was
	}
	if !slices.Equal(order, t.order) {
		h.version++
		t.arrange = h.version
	}
	t.order, t.kept = order, next
}

func (h *Hub) draw(template string, shows any) []byte {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, template, shows); err != nil {
		h.log.Error("drawing a part of a page failed", "template", template, "reason", err)
	}
	return b.Bytes()
}

// named is a topic's name with what it is about.
type named struct {
	name string
	subject
}

// page gives the parts of a topic that a visitor may see, drawn, and the version from which on to follow it.
func (h *Hub) page(n named, sees func(model string) bool) (parts [][]byte, version uint64) {
	h.ensure(n)
	h.look(fresh)
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[n.name]
	if t == nil {
		return nil, h.version
	}
	for _, id := range t.order {
		if d := t.kept[id]; sees(d.model) {
			parts = append(parts, d.html)
		}
	}
	return parts, h.version
}

// ensure makes the topic, with its parts as the fleet was when it was looked at last.
func (h *Hub) ensure(n named) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[n.name]
	if t == nil {
		t = &topic{subject: n.subject, kept: map[string]*drawn{}}
		h.topics[n.name] = t
		if h.snapshot != nil {
			h.publish(t)
		}
	}
	t.asked = time.Now()
}

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
	if t.arrange > since || since > h.version { // or the version is of another life
		var all []byte
		for _, id := range t.order {
			if d := t.kept[id]; f.sees(d.model) {
				all = append(all, d.html...)
			}
		}
		return []change{{t.container, true, all}}, h.version, true
	}
	for _, id := range t.order {
		if d := t.kept[id]; d.version > since && f.sees(d.model) {
			changes = append(changes, change{id, false, d.html})
		}
	}
	return changes, h.version, true
}
