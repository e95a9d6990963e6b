package slot

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// tries bounds how often one launch is begun anew because its port was taken.
const tries = 4

// tend sees one instance through: it returns when its process, and all that it started, has ended.
func (s *Slot) tend(ctx context.Context, spawn *spawner, i *instance) {
	log := s.cfg.Log.With("model", i.model.ID, "instance", i.ID)
	began := time.Now()
	for n := 1; ; n++ {
		// An engine that binds its port with no SO_REUSEADDR cannot have one that is held for it: the last tries leave it free.
		end := s.live(ctx, spawn, i, n <= tries/2)
		if end.clash && n < tries && !asked(ctx, i) {
			log.Warn("port was taken, starting engine anew", "reason", end.failure)
			continue
		}
		s.depart(i, end.failure)
		if end.failure != "" && !asked(ctx, i) {
			log.Error("engine failed", "reason", end.failure, "after", time.Since(began))
		} else {
			log.Info("engine ended", "after", time.Since(began))
		}
		return
	}
}

// asked reports whether the end of the engine is wanted.
func asked(ctx context.Context, i *instance) bool {
	select {
	case <-i.quit:
		return true
	default:
		return ctx.Err() != nil
	}
}

// ending is how one process of an instance ended.
type ending struct {
	failure string
	clash   bool // its port was taken, before it ever answered: worth another try
}

// live is the life of one engine process.
func (s *Slot) live(ctx context.Context, spawn *spawner, i *instance, hold bool) ending {
	if asked(ctx, i) {
		return ending{}
	}
	port, err := reservePort(s.cfg.Host, hold)
	if err != nil {
		return ending{failure: "finding a free port: " + err.Error()}
	}
	defer port.release()
	launch, err := engine.Command(i.model, s.cfg.Host, port.number, s.cfg.Self)
	if err != nil {
		return ending{failure: err.Error()}
	}
	s.pruneLogs()
	out, err := openLog(s.file(i, ".log"))
	if err != nil {
		return ending{failure: "opening the engine's log: " + err.Error()}
	}
	defer out.close()
	child, err := s.start(spawn, i, launch, out)
	if err != nil {
		return ending{failure: "starting the engine: " + err.Error()}
	}
	defer s.unrecord(i)
	e := &life{
		slot: s, i: i, child: child,
		addr:   net.JoinHostPort(s.cfg.Host, strconv.Itoa(port.number)),
		exited: make(chan string, 1), probed: make(chan error, 1),
	}
	return e.run(ctx, out, port)
}

func (s *Slot) file(i *instance, suffix string) string { return filepath.Join(s.dir, i.ID+suffix) }

// life is one engine process that runs.
type life struct {
	slot   *Slot
	i      *instance
	child  *child
	addr   string
	exited chan string // how it ended, once
	probed chan error  // how the probe ended, once
	ready  bool
}

func (e *life) run(ctx context.Context, out *engineLog, port *port) ending {
	var wg sync.WaitGroup
	defer wg.Wait()
	probe, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	wg.Go(func() { e.exited <- e.child.wait() })
	wg.Go(func() {
		e.probed <- engine.Probe(probe, e.i.model, e.addr, func(p fleet.Phase) { e.slot.reach(e.i, p) })
	})
	for {
		select {
		case how := <-e.exited:
			if asked(ctx, e.i) {
				return ending{}
			}
			end := ending{failure: e.obituary(how, time.Since(began), out)}
			port.release()
			end.clash = !e.ready && (taken(e.addr) || out.tellsOfClash())
			return end
		case err := <-e.probed:
			switch {
			case err == nil:
				e.ready = true
				e.slot.open(e.i, e.addr)
			case probe.Err() == nil:
				why := fmt.Sprintf("%v%s", err, out.lastWords())
				e.slot.fail(e.i, why)
				e.stop(0)
				return ending{failure: why}
			}
		case <-e.i.quit:
			cancel()
			e.stop(e.grace())
			return ending{}
		case <-ctx.Done():
			e.stop(e.grace())
			return ending{}
		}
	}
}

// taken reports whether somebody listens on the address. Connections of the past do not count: Go listens with SO_REUSEADDR.
func taken(addr string) bool {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return true
	}
	ln.Close()
	return false
}

// loadGrace is the grace of an engine that serves nobody yet. trtllm-serve has no handler for SIGTERM while it loads.
const loadGrace = 2 * time.Second

func (e *life) grace() time.Duration {
	if e.ready {
		return e.slot.cfg.Grace
	}
	return min(e.slot.cfg.Grace, loadGrace)
}

// stop ends the process and its group: it returns when the process is no more.
func (e *life) stop(grace time.Duration) {
	if grace > 0 {
		e.child.terminate()
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-e.exited:
			return
		case <-t.C:
			e.slot.cfg.Log.Warn("engine did not end in time, killing it", "model", e.i.model.ID, "instance", e.i.ID, "grace", grace)
		}
	}
	e.child.kill()
	<-e.exited
}

// obituary says why an engine ended that nobody had asked to.
func (e *life) obituary(how string, after time.Duration, out *engineLog) string {
	when := "before it was ready"
	if e.ready {
		when = "while it was serving"
	}
	return fmt.Sprintf("engine ended %s, after %s: %s%s", when, after.Round(time.Millisecond), how, out.lastWords())
}
