package slot

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// tries bounds how often one launch is begun anew because its port was taken.
const tries = 4

// supervise sees one instance through: it returns when its process, and all that it started, has ended.
func (s *Slot) supervise(ctx context.Context, spawn *spawner, i *instance) {
	log := s.cfg.Log.With("model", i.model.ID, "instance", i.ID)
	began := time.Now()
	for n := 1; ; n++ {
		// An engine that binds its port with no SO_REUSEADDR cannot have one that is held for it: the last tries leave it free.
		end := s.runProcess(ctx, spawn, i, n <= tries/2)
		again := n < tries && !endWanted(ctx, i)
		switch {
		case again && end.noSleepMode:
			log.Warn("engine knows no sleep mode: starting it without, and it will not be parked", "reason", end.failure)
			s.disableSleepMode(i)
			continue
		case again && end.clash:
			log.Warn("port was taken, starting engine anew", "reason", end.failure)
			continue
		}
		s.markEnded(i, end)
		if end.failure != "" && !endWanted(ctx, i) {
			log.Error("engine failed", "reason", end.failure, "cause", string(end.cause), "after", time.Since(began))
		} else {
			log.Info("engine ended", "after", time.Since(began))
		}
		return
	}
}

// endWanted reports whether the end of the engine is wanted.
func endWanted(ctx context.Context, i *instance) bool {
	select {
	case <-i.quit:
		return true
	default:
		return ctx.Err() != nil
	}
}

// ending is how one process of an instance ended, or why it is no use.
type ending struct {
	failure     string      // "" = its end was wanted
	cause       fleet.Cause // of the failure
	short       bool        // for want of GPU memory
	clash       bool        // its port was taken, before it ever answered: worth another try
	noSleepMode bool        // it does not know the option for sleep mode: worth another try without
}

// runProcess starts one engine process and follows it to its end.
func (s *Slot) runProcess(ctx context.Context, spawn *spawner, i *instance, hold bool) ending {
	if endWanted(ctx, i) {
		return ending{}
	}
	port, err := reservePort(s.cfg.Host, s.cfg.Ports, hold)
	if err != nil {
		return ending{failure: "finding a free port: " + err.Error(), cause: fleet.CausePlace}
	}
	defer port.release()
	launch, err := engine.Command(i.model, s.cfg.Host, port.number, s.cfg.Self)
	if err != nil {
		return ending{failure: err.Error(), cause: fleet.CauseEngine}
	}
	key, sleeps := engine.NewKey(), s.withSleepMode(i)
	if sleeps {
		launch = launch.Shared(i.model, engine.Sharing{Key: key, Parked: i.Spec.ParkedRoom, Memory: s.cfg.GPUMemory})
	}
	out, err := openLog(s.file(i, ".log"))
	if err != nil {
		return ending{failure: "opening the engine's log: " + err.Error(), cause: fleet.CausePlace}
	}
	defer out.close()
	child, err := s.start(spawn, i, launch, out)
	if err != nil {
		return ending{failure: "starting the engine: " + err.Error(), cause: fleet.CausePlace}
	}
	defer s.unrecord(i)
	s.pruneLogs() // beside the engine's start
	addr := net.JoinHostPort(s.cfg.Host, strconv.Itoa(port.number))
	e := &process{
		slot: s, i: i, child: child, addr: addr,
		control: engine.NewControl(i.model.Engine.Kind, addr, []byte(key)), output: out.wrote, offers: sleeps,
		exited: make(chan exit, 1), steps: make(chan step),
	}
	return e.run(ctx, out, port)
}

// withSleepMode reports whether the engine is to be launched with sleep mode: unless its program was seen not to know it.
func (s *Slot) withSleepMode(i *instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return i.GPUs > 0 && engine.Park(i.model.Engine.Kind) != engine.ParkNone && !s.noSleepMode[program(i)]
}

// disableSleepMode notes that the engine's program does not know sleep mode.
func (s *Slot) disableSleepMode(i *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noSleepMode[program(i)] = true
}

// program tells engines' programs apart.
func program(i *instance) string {
	return string(i.model.Engine.Kind) + " " + strings.Join(i.model.Engine.Command, " ")
}

func (s *Slot) file(i *instance, suffix string) string { return filepath.Join(s.dir, i.ID+suffix) }

// taken reports whether somebody listens on the address. Connections of the past do not count: Go listens with SO_REUSEADDR.
func taken(addr string) bool {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return true
	}
	ln.Close()
	return false
}
