package joined_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// network is what is between the servers. Each pair may be cut off from each other; messages are lost, late and doubled.
type network struct {
	mu    sync.Mutex // guards what follows
	cut   map[[2]int]time.Time
	lossy time.Time
	seed  uint64
}

func newNetwork(seed uint64) *network {
	return &network{cut: map[[2]int]time.Time{}, seed: seed}
}

const (
	followAgain = 20 * time.Millisecond
	silenceMost = 3 * time.Second // then a stream is given up
	sendWithin  = 5 * time.Second
	farewellIn  = time.Second
)

func pair(a, b *life) [2]int { return [2]int{min(a.s.n, b.s.n), max(a.s.n, b.s.n)} }

// sever cuts two servers off from each other until a moment.
func (n *network) sever(a, b *server, until time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]int{min(a.n, b.n), max(a.n, b.n)}] = until
}

func (n *network) lose(until time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lossy = until
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	n.lossy = time.Time{}
}

// random is of what goes from one server to another at this moment. What goes at the same moment has another name.
func (n *network) random(from, to *life, what string) *rand.Rand {
	return rand.New(rand.NewPCG(n.seed^hashOf(what, uint64(10*from.s.n+to.s.n)), uint64(time.Now().UnixNano())))
}

// apart reports whether one server does not reach another.
func (n *network) apart(from, to *life) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Now().Before(n.cut[pair(from, to)]) || from.dead() || to.dead()
}

// fate is what becomes of a message: how much later it arrives, each time.
func (n *network) fate(from, to *life, what string) (late []time.Duration) {
	if n.apart(from, to) {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.random(from, to, what)
	first := time.Duration(30_000 + r.IntN(2_000_000))
	if !time.Now().Before(n.lossy) {
		return []time.Duration{first}
	}
	switch r.IntN(6) {
	case 0:
		return nil
	case 1:
		return []time.Duration{first, first + time.Duration(1+r.IntN(1_000_000_000))}
	case 2:
		return []time.Duration{first + time.Duration(r.IntN(4_000_000_000))}
	}
	return []time.Duration{first}
}

// pass waits for what a message takes; false = it is lost.
func (n *network) pass(ctx context.Context, from, to *life, what string) bool {
	late := n.fate(from, to, what)
	if len(late) == 0 {
		from.pause(ctx, sendWithin)
		return false
	}
	return from.pause(ctx, late[0]) && !to.dead()
}

// send has a message arrive later, once, twice or not at all.
func (n *network) send(from, to *life, what string, arrives func()) {
	for _, late := range n.fate(from, to, what) {
		time.AfterFunc(late, func() {
			if !to.dead() {
				arrives()
			}
		})
	}
}

// copied is a message as it is read at the other end.
func copied[T any](message *T) *T {
	text, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	read := new(T)
	if err := json.Unmarshal(text, read); err != nil {
		panic(err)
	}
	return read
}

// keepFollowing follows whoever leads, until ctx is done: what a peers.Link does with a peers.Hub.
func (l *life) keepFollowing(ctx context.Context) {
	for ctx.Err() == nil {
		if at := l.leader.Load(); at != nil && at != l {
			l.follow(ctx, at)
		}
		l.sleep(ctx, followAgain)
	}
}

// follow has a stream from who leads, until that is lost.
func (l *life) follow(ctx context.Context, at *life) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	net := l.w.net
	if !net.pass(ctx, l, at, "stream") || at.tenure.Load() == nil {
		return
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		defer cancel()
		_ = activator.ServersOf(at.activator).Tables(ctx, l.name, func(tables []*protocol.Table) error {
			for _, t := range tables {
				told := copied(t)
				net.send(at, l, fmt.Sprint("table ", t.Seq), func() { activator.ServersOf(l.activator).Take(told) })
			}
			return nil
		})
	})
	all.Go(func() {
		defer cancel()
		for l.report(ctx, at) {
		}
	})
	for silent := time.Duration(0); silent < silenceMost && l.leader.Load() == at && l.sleep(ctx, time.Second); {
		if silent += time.Second; !net.apart(at, l) {
			silent = 0
		}
	}
	cancel()
}

// report tells who leads what there is to tell; false = it could not be brought.
func (l *life) report(ctx context.Context, at *life) bool {
	servers := activator.ServersOf(l.activator)
	r, more := servers.NextReport(ctx)
	if !more {
		return false
	}
	told := copied(r)
	late := l.w.net.fate(l, at, "report")
	if len(late) == 0 {
		l.pause(ctx, sendWithin)
		return false
	}
	if !l.pause(ctx, late[0]) || at.dead() {
		return false
	}
	heard, taken, err := activator.ServersOf(at.activator).Hear(told)
	for _, later := range late[1:] { // it comes again
		again := copied(r)
		time.AfterFunc(later, func() { _, _, _ = activator.ServersOf(at.activator).Hear(again) })
	}
	if err != nil || !l.w.net.pass(ctx, at, l, "answer") {
		return false
	}
	if taken {
		servers.Told(r, heard)
	}
	return true
}

// farewell tells who leads that this server ends.
func (l *life) farewell() {
	at := l.leader.Load()
	if at == nil || at == l {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewellIn)
	defer cancel()
	if r := activator.ServersOf(l.activator).Farewell(); l.w.net.pass(ctx, l, at, "farewell") {
		_, _, _ = activator.ServersOf(at.activator).Hear(copied(r))
	}
}
