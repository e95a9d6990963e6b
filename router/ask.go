package router

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

const (
	// wholeLimit is the largest answer that is held to be sent with its bill in the headers; a larger one is relayed.
	wholeLimit = 32 << 20
	// errorLimit is how much of an engine's error answer is read.
	errorLimit = 64 << 10
)

var (
	errNotAnswered = errors.New("the engine's answer is empty")
	errNoEnd       = errors.New("the engine's stream ended without [DONE]")
	errNotEvents   = errors.New("the engine answered a stream with something else")
)

// ask sends the request to the leased engine and returns when its answer has begun: a stream with its first event, anything
// else whole, unless it is too large to be held.
func (a *attempt) ask() error {
	a.line.scan.Reset()
	a.line.debt.begin(a.instance)
	if a.r.lost.has(a.instance) {
		return errInstanceLost // just before: nobody will tell
	}
	err := a.askEngine()
	if !a.line.debt.end() {
		return errInstanceLost // whatever came of it: it was cut short
	}
	return err
}

func (a *attempt) askEngine() error {
	a.price = a.r.offer.Load().price
	err := a.r.engines.Do(&a.line.call, a.request())
	a.dispatched = a.line.call.Dispatched()
	if err != nil {
		return err
	}
	if a.answered = a.line.call.Status()/100 == 2; !a.answered {
		return a.readRefusal()
	}
	if a.in.fields.Stream {
		return a.readFirstEvent()
	}
	return a.readWhole()
}

// askSafely turns a panic into an error: in a goroutine of its own, one would end the process.
func (a *attempt) askSafely() (err error) {
	defer func() {
		if p := recover(); p != nil {
			a.r.c.Log.Error("asking an engine panicked", "request", a.in.request, "reason", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("asking an engine panicked: %v", p)
		}
	}()
	return a.ask()
}

func (a *attempt) readFirstEvent() error {
	if !bytes.HasPrefix(a.line.call.ContentType(), []byte("text/event-stream")) {
		return errNotEvents
	}
	for len(a.out) == 0 && !a.ended {
		if err := a.pull(); err != nil {
			return err
		}
	}
	return nil
}

// pull reads once from the engine and moves whole events to out. The usage event and [DONE] are kept back; comments are
// dropped, because only the caller's keep-alive mode decides whether it gets any.
func (a *attempt) pull() error {
	defer a.weigh()
	piece, err := a.line.call.Next(0)
	if len(piece) > 0 {
		a.lease.Heard()
		a.line.scan.Feed(piece)
		if err := a.sort(); err != nil || a.ended {
			return err
		}
	}
	switch {
	case err == nil:
		return a.line.scan.Err()
	case err != io.EOF:
		return err
	}
	a.line.scan.End()
	if err := a.sort(); err != nil || a.ended {
		return err
	}
	return errNoEnd
}

func (a *attempt) sort() error {
	for a.line.scan.Next() {
		switch e := a.line.scan.Event(); e.Kind {
		case openai.KindChunk:
			if err := a.firstByte(); err != nil {
				return err
			}
			a.out = a.in.appendChunk(a.out, &e)
		case openai.KindUsage:
			a.usage = a.in.appendData(a.usage[:0], e.Data)
		case openai.KindError:
			return &answerError{status: http.StatusInternalServerError, message: openai.EngineError(http.StatusInternalServerError, e.Data)}
		case openai.KindDone:
			a.done = append(a.done[:0], e.Raw...)
			a.ended, a.endedAt = true, time.Now()
			return nil
		}
	}
	return nil
}

// firstByte notes when the answer's first byte has come. From then on the request belongs to its instance, unless that was lost just before.
func (a *attempt) firstByte() error {
	if !a.firstAt.IsZero() {
		return nil
	}
	if !a.line.debt.end() {
		return errInstanceLost
	}
	a.firstAt = time.Now()
	return nil
}

// readWhole collects the answer's body, or borrows it where it came in one piece.
func (a *attempt) readWhole() error {
	a.whole.restart()
	length := a.line.call.ContentLength()
	for a.whole.n <= wholeLimit {
		piece, err := a.line.call.Next(0)
		if err == io.EOF {
			a.ended, a.endedAt = true, time.Now()
			return a.checkWhole()
		}
		if err != nil {
			return err
		}
		if err := a.firstByte(); err != nil {
			return err
		}
		if int64(len(piece)) == length {
			a.whole.borrow(piece)
			a.ended, a.endedAt = true, a.firstAt
			return a.checkWhole()
		}
		fits, err := a.collects(a.whole.n + len(piece))
		if err != nil {
			return err
		}
		if fits && a.whole.n == 0 && length <= wholeLimit {
			if err := a.whole.reserve(max(int(length), len(piece))); err != nil {
				return err
			}
		}
		if err := a.whole.append(piece); err != nil {
			return err
		}
		if !fits {
			break
		}
	}
	a.raw = true
	return nil
}

// checkWhole knows the answer of a dying engine: TensorRT-LLM's interrupts itself and gives 200 with "null" or nothing.
func (a *attempt) checkWhole() error {
	if b := bytes.TrimSpace(a.whole.bytes()); len(b) == 0 || string(b) == "null" {
		a.firstAt = time.Time{}
		return errNotAnswered
	}
	return nil
}

// pullRaw reads once from an answer that is too large to be held. The last byte stays back, with the response, until the record stands.
func (a *attempt) pullRaw(s *response) error {
	piece, err := a.line.call.Next(0)
	a.out = a.out[:0]
	if len(piece) > 0 {
		if s.held {
			a.out = append(a.out, s.hold)
		}
		a.out = append(a.out, piece[:len(piece)-1]...)
		s.hold, s.held = piece[len(piece)-1], true
	}
	if err == io.EOF {
		a.ended, a.endedAt = true, time.Now()
		return nil
	}
	return err
}

// answerError is an answer of the engine that is no success.
type answerError struct {
	status  int
	message string   // fit to be shown
	callers bool     // the request was at fault, not the engine
	tooLong *failure // for it does not fit into the context; nil = that is not said
}

func (e *answerError) Error() string {
	return fmt.Sprintf("the engine answered %d: %s", e.status, e.message)
}

func (e *answerError) failure() *failure {
	switch {
	case e.tooLong != nil:
		return e.tooLong
	case e.callers:
		return failf(codeInvalidRequest, "%s", e.message)
	case e.status == http.StatusTooManyRequests:
		return failf(codeOverloaded, "The engine cannot take more requests now.").because(e)
	}
	return failf(codeEngineError, "The engine failed: %s", e.message).because(e)
}

// readRefusal reads an answer that is no success.
func (a *attempt) readRefusal() error {
	for a.whole.restart(); a.whole.n < errorLimit; {
		piece, err := a.line.call.Next(errorLimit - a.whole.n)
		if err := a.whole.append(piece); err != nil {
			return err
		}
		if err != nil {
			break // what was read tells enough
		}
	}
	e := &answerError{status: a.line.call.Status(), message: openai.EngineError(a.line.call.Status(), a.whole.bytes())}
	if openai.ContextExceeded(string(a.model.Engine.Kind), e.status, a.whole.bytes()) {
		e.tooLong = a.model.exceeded(e.message).at(a.in.endpoint.prompt)
	}
	e.callers = e.tooLong != nil || a.callersFault(e)
	return e
}

// callersFault tells a wrong request from an engine in trouble. TensorRT-LLM answers nearly every failure with 400
// (tensorrt_llm/serve/openai_server.py turns any exception into one), so its words and the instance's state are asked too.
func (a *attempt) callersFault(e *answerError) bool {
	switch e.status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
	default:
		return false
	}
	body := a.whole.bytes()
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte(`{"error":"`)) {
		return true // pydantic's verdict on the request itself, a bare string
	}
	words := strings.ToLower(string(body))
	for _, trouble := range engineTroubles {
		if strings.Contains(words, trouble) {
			return false
		}
	}
	return a.instanceReady()
}

// engineTroubles are words of engines that refuse work because of their own state.
var engineTroubles = []string{
	"shutting down", "shut down", "shutdown", "parked", "parking", "waking", "sleeping", "memory state", "admission",
	"unavailable", "not running", "executor", "cuda", "nccl", "out of memory", "internal error", "event loop",
}

// instanceReady asks the activator whether the instance that has just refused is still one that takes requests.
func (a *attempt) instanceReady() bool {
	state := a.r.c.Activator.InstanceState(a.instance)
	return state == fleet.Ready || state == fleet.Draining
}
