package console

import (
	"context"
	"log/slog"
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
	source fleet.Control
	log    *slog.Logger
	wake   chan struct{} // holds one when somebody begins to follow

	servers func() []Server
	looking sync.Mutex // one look at a time
	news    decisions

	mu        sync.Mutex        // guards what follows
	at        time.Time         // of the last look
	version   uint64            // counts changes of parts
	now       *state            // nil = nobody has looked yet
	topics    map[string]*topic // those that somebody has asked for
	followers map[*follower]bool
	closed    bool
}

// state is what is published: all that pages show of the moment. It is immutable.
type state struct {
	*fleet.Snapshot
	Servers   []Server
	Decisions []fleet.Notice // newest first
}

func newHub(source fleet.Control, servers func() []Server, log *slog.Logger) *Hub {
	return &Hub{source: source, servers: servers, log: log, wake: make(chan struct{}, 1), topics: map[string]*topic{}, followers: map[*follower]bool{}}
}

// run looks at the fleet while anybody follows.
func (h *Hub) run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	var following sync.WaitGroup
	following.Go(func() {
		_ = h.source.Follow(ctx, 0, func(n fleet.Notice) error {
			h.news.add(n)
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
func (h *Hub) look(age time.Duration) *state {
	h.looking.Lock()
	defer h.looking.Unlock()
	h.mu.Lock()
	if h.now != nil && age > 0 && time.Since(h.at) < age {
		defer h.mu.Unlock()
		return h.now
	}
	h.mu.Unlock()
	now := &state{Snapshot: h.source.Snapshot(), Servers: h.servers(), Decisions: h.news.list()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now, h.at = now, time.Now()
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
