package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/socket"
)

// ErrProbe is returned when an engine is up and keeps refusing to generate: waiting longer would not help.
var ErrProbe = errors.New("engine refuses the probe")

const (
	// healthWithin bounds one health request: an engine that took the connection while starting may never answer it.
	healthWithin = 5 * time.Second
	// refusedFor bounds how long an engine may answer the token request with errors. TensorRT-LLM says 400 for nearly every
	// failure, passing ones too, so that the first refusal says little.
	refusedFor = 10 * time.Second
	// askFirst and askMost bound the pause between two refused token requests.
	askFirst, askMost = 4 * time.Millisecond, 100 * time.Millisecond
)

// Starting is an engine on its way to its first token. Model, Addr and Phase are required.
type Starting struct {
	Model  *fleet.Model
	Addr   string            // host:port
	Phase  func(fleet.Phase) // is told from the calling goroutine: loading at once, probing when the engine says that it is healthy
	Output <-chan struct{}   // gets something when the engine has written something; nil = that is not seen

	// Refuses is told, once and from the calling goroutine, of the first look at which nobody listened, with the moment when it began; nil = nobody wants to know.
	Refuses func(time.Time)
}

// Await returns nil the moment the engine has generated its first token for the model. It blocks until then, until ctx is done (it returns the
// cause), or until the engine has refused for so long that it will not change (ErrProbe). It starts no goroutine.
//
// While nothing listens it tries to connect: at once when the engine writes something, and else at a pace that slows down from 1 to 50 ms.
func (s Starting) Await(ctx context.Context) error {
	k, ok := kinds[s.Model.Engine.Kind]
	if !ok {
		return fmt.Errorf("probing %s: %w %q", s.Model.ID, ErrUnknownKind, s.Model.Engine.Kind)
	}
	w := &wire{addr: s.Addr}
	defer w.close()
	s.Phase(fleet.PhaseLoading)
	if err := s.untilHealthy(ctx, w, k); err != nil {
		return err
	}
	s.Phase(fleet.PhaseProbing)
	return untilToken(ctx, w, questions(s.Model))
}

// Probe is Await for an engine whose output is not seen.
func Probe(ctx context.Context, m *fleet.Model, addr string, phase func(fleet.Phase)) error {
	return Starting{Model: m, Addr: addr, Phase: phase}.Await(ctx)
}

// Ask returns nil if the engine at addr generates a token for the model, and ErrProbe with its answer if it refuses. It asks once on
// each endpoint that the model lists, and waits for each answer as long as ctx allows. The error wraps fleet.ErrUndecided where the
// engine could not be asked for want of means of ours, or says that it has no room for another request.
func Ask(ctx context.Context, m *fleet.Model, addr string) error {
	w := &wire{addr: addr}
	defer w.close()
	var last error
	for _, q := range questions(m) {
		status, body, err := w.do(ctx, http.MethodPost, q.path, q.body)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && socket.Exhausted(err):
			return fmt.Errorf("%w: %w", fleet.ErrUndecided, err)
		case err != nil:
			return err
		case status == http.StatusTooManyRequests:
			return fmt.Errorf("%w: %w", fleet.ErrUndecided, refusal(q, status, body))
		case status == http.StatusOK && q.generated(body):
			return nil
		}
		last = refusal(q, status, body)
	}
	return last
}

func refusal(q question, status int, body []byte) error {
	return fmt.Errorf("%w: POST %s answered %d: %s", ErrProbe, q.path, status, excerpt(body))
}

// Alive returns nil if the engine of the kind at addr answers its health path in time. That it is parked does not count against it.
func Alive(ctx context.Context, k fleet.EngineKind, addr string, limit time.Duration) error {
	w := &wire{addr: addr}
	defer w.close()
	status, body, err := within(ctx, limit, w, http.MethodGet, HealthPath(k), nil)
	if err == nil && status >= http.StatusInternalServerError {
		err = fmt.Errorf("GET %s answered %d: %s", HealthPath(k), status, excerpt(body))
	}
	return err
}

// untilHealthy waits for a 200 of the health path.
func (s Starting) untilHealthy(ctx context.Context, w *wire, k kind) error {
	door := newKnocker(w.addr)
	defer door.close()
	for p := newPace(s.Output); ; {
		looked, refuses := time.Now(), w.conn == nil && door.refused()
		if !refuses {
			status, _, err := within(ctx, healthWithin, w, http.MethodGet, k.health, nil)
			switch {
			case err == nil && status == http.StatusOK:
				return nil
			case err == nil && k.optional && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed):
				return nil
			}
			refuses = errors.Is(err, syscall.ECONNREFUSED)
		}
		if refuses && s.Refuses != nil {
			s.Refuses(looked)
			s.Refuses = nil
		}
		if err := p.await(ctx); err != nil {
			return err
		}
	}
}

// untilToken asks until an answer holds a generated token. An endpoint that refuses makes the next one be tried: a model
// without a chat template completes text all the same.
func untilToken(ctx context.Context, w *wire, asked []question) error {
	var refusedSince time.Time
	wait := askFirst
	for n := 0; ; n++ {
		q := asked[n%len(asked)]
		// No limit but ctx: an engine's first answer can take minutes of compilation.
		status, body, err := w.do(ctx, http.MethodPost, q.path, q.body)
		if err == nil && status == http.StatusOK && q.generated(body) {
			return nil
		}
		if err != nil { // The connection broke: whether the engine lives is for the supervisor to see.
			refusedSince = time.Time{}
		} else if refusedSince.IsZero() {
			refusedSince = time.Now()
		} else if time.Since(refusedSince) > refusedFor {
			return refusal(q, status, body)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(wait*2, askMost)
	}
}

// within is one exchange with a limit of its own.
func within(ctx context.Context, limit time.Duration, w *wire, method, path string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return w.do(ctx, method, path, body)
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// excerpt keeps the start of an answer, for operators.
func excerpt(body []byte) string {
	const most = 300
	if len(body) > most {
		body = body[:most]
	}
	return string(body)
}
