package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// What parking and resuming can come to. ErrOutOfMemory comes wrapped together with whatever else is true.
var (
	ErrNotOffered  = errors.New("engine offers no sleep mode")
	ErrLost        = errors.New("engine's memory has failed for good: only a new process helps")
	ErrOutOfMemory = errors.New("out of GPU memory")
	ErrRefused     = errors.New("engine refuses the control call")
)

const (
	// statusEvery is the pause between two looks at where the memory stands. TensorRT-LLM's strict variant remembers 4,096
	// nonces for 300 s and then refuses everything: 13 signed calls a second lock the controls out.
	statusEvery = time.Second
	// statusWithin bounds one look.
	statusWithin = 5 * time.Second
	// controlTries bounds how often an operation is asked for that neither succeeded nor is under way.
	controlTries = 4
)

// memoryState is where an engine's memory stands.
type memoryState string

// The stands, as TensorRT-LLM words them: running ─► parking ─► parked ─► waking ─► running. A failed one stays so.
const (
	memoryRunning memoryState = "running"
	memoryParked  memoryState = "parked"
	memoryFailed  memoryState = "failed"
)

// protocol is one way to give GPU memory back and to take it again. Its calls block until the engine has answered.
type protocol interface {
	park(ctx context.Context, w *wire) (status int, answer []byte, err error)
	resume(ctx context.Context, w *wire) (status int, answer []byte, err error)
	look(ctx context.Context, w *wire) (memoryState, error)
}

// Control parks and resumes one engine. It holds no connection between calls and starts no goroutine that outlives one. One
// call at a time.
type Control struct {
	protocol protocol
	addr     string
	looked   time.Time // when the memory's stand was last asked for
}

// NewControl makes the control of an engine of the kind at addr (host:port) that was launched with the key. Where the kind has no park
// protocol, its methods answer ErrNotOffered.
func NewControl(k fleet.EngineKind, addr string, key []byte) *Control {
	c := &Control{addr: addr}
	switch Park(k) {
	case ParkTRTLLM:
		c.protocol = &trtllm{key: key}
	case ParkVLLM:
		c.protocol = vllm{}
	}
	return c
}

// Offered returns nil if the engine, which must have loaded, can be parked, and ErrNotOffered if it cannot.
func (c *Control) Offered(ctx context.Context) error {
	if c.protocol == nil {
		return ErrNotOffered
	}
	w := &wire{addr: c.addr}
	defer w.close()
	_, err := c.look(ctx, w)
	return err
}

// Park returns nil when the engine's GPU memory has been released. The engine must have nothing in flight: what it has, it
// finishes first, however long that takes. ErrLost is final; ctx bounds it all.
func (c *Control) Park(ctx context.Context) error {
	if c.protocol == nil {
		return ErrNotOffered
	}
	return c.move(ctx, c.protocol.park, memoryParked)
}

// Resume returns nil when the engine's GPU memory is back, so that it takes requests. ErrOutOfMemory says that somebody else has taken the
// memory, ErrLost that the engine did not survive it.
func (c *Control) Resume(ctx context.Context) error {
	if c.protocol == nil {
		return ErrNotOffered
	}
	return c.move(ctx, c.protocol.resume, memoryRunning)
}

// move asks for an operation until the memory stands as wanted. Both protocols answer when it is done, so that one call is
// all it takes; the stand is asked for only where that call came to anything else.
func (c *Control) move(ctx context.Context, order func(context.Context, *wire) (int, []byte, error), want memoryState) error {
	w := &wire{addr: c.addr}
	defer w.close()
	for try := 1; ; try++ {
		err := outcome(order(ctx, w))
		if err == nil || errors.Is(err, ErrNotOffered) || ctx.Err() != nil {
			return ended(ctx, err)
		}
		now, lookErr := c.settle(ctx, w)
		switch {
		case ctx.Err() != nil:
			return ended(ctx, err)
		case lookErr == nil && now == want:
			return nil
		case lookErr == nil && now == memoryFailed:
			return fmt.Errorf("%w: %w", ErrLost, err)
		case try == controlTries && lookErr != nil: // whoever took it for parked, or for running, would be guessing
			return fmt.Errorf("%w: %w; where its memory stands: %w", ErrLost, err, lookErr)
		case try == controlTries || errors.Is(err, ErrOutOfMemory) && lookErr == nil:
			return err
		}
	}
}

// ended gives the error, or why there was no time for a better one.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// settle asks where the memory stands until nothing is under way.
func (c *Control) settle(ctx context.Context, w *wire) (memoryState, error) {
	for {
		now, err := c.look(ctx, w)
		if err != nil || now == memoryRunning || now == memoryParked || now == memoryFailed {
			return now, err
		}
	}
}

// look asks where the memory stands, once a second at most.
func (c *Control) look(ctx context.Context, w *wire) (memoryState, error) {
	if err := pause(ctx, time.Until(c.looked.Add(statusEvery))); err != nil {
		return "", err
	}
	c.looked = time.Now()
	ctx, cancel := context.WithTimeout(ctx, statusWithin)
	defer cancel()
	return c.protocol.look(ctx, w)
}

// outcome judges the answer to a control call.
func outcome(status int, answer []byte, err error) error {
	switch {
	case err != nil:
		return err
	case status == http.StatusOK:
		return nil
	case status == http.StatusNotFound:
		return ErrNotOffered
	}
	err = fmt.Errorf("%w: %d: %s", ErrRefused, status, excerpt(answer))
	if mentionsOutOfMemory(answer) {
		return fmt.Errorf("%w: %w", ErrOutOfMemory, err)
	}
	return err
}

// mentionsOutOfMemory reports whether an answer speaks of GPU memory that is not there. The words are those of CUDA and PyTorch; no
// status tells.
func mentionsOutOfMemory(answer []byte) bool {
	said := strings.ToLower(string(answer))
	return strings.Contains(said, "out of memory") || strings.Contains(said, "outofmemory") || strings.Contains(said, "cumemcreate")
}
