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
func (x *exchange) ask() error {
	x.firstAt = time.Time{}
	x.scan.Reset()
	x.out, x.usage, x.done, x.ended = x.out[:0], x.usage[:0], x.done[:0], false
	x.debt.begin(x.lease.Instance)
	if x.r.lost.has(x.lease.Instance) {
		return errInstanceLost // just before: nobody will tell
	}
	err := x.askEngine()
	if !x.debt.end() {
		return errInstanceLost // whatever came of it: it was cut short
	}
	return err
}

func (x *exchange) askEngine() error {
	if err := x.r.engines.Do(&x.call, x.engineRequest()); err != nil {
		return err
	}
	if x.call.Status()/100 != 2 {
		return x.readRefusal()
	}
	if x.fields.Stream {
		return x.readFirstEvent()
	}
	return x.readWhole()
}

// askSafely turns a panic into an error: in a goroutine of its own, one would end the process.
func (x *exchange) askSafely() (err error) {
	defer func() {
		if p := recover(); p != nil {
			x.r.c.Log.Error("asking an engine panicked", "request", x.request, "reason", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("asking an engine panicked: %v", p)
		}
	}()
	return x.ask()
}

func (x *exchange) readFirstEvent() error {
	if !bytes.HasPrefix(x.call.ContentType(), []byte("text/event-stream")) {
		return errNotEvents
	}
	for len(x.out) == 0 && !x.ended {
		if err := x.pull(); err != nil {
			return err
		}
	}
	return nil
}

// pull reads once from the engine and moves whole events to out. The usage event and [DONE] are kept back; comments are
// dropped, because only the caller's keep-alive mode decides whether it gets any.
func (x *exchange) pull() error {
	piece, err := x.call.Next(0)
	if len(piece) > 0 {
		x.scan.Feed(piece)
		if err := x.sort(); err != nil || x.ended {
			return err
		}
	}
	switch {
	case err == nil:
		return x.scan.Err()
	case err != io.EOF:
		return err
	}
	x.scan.End()
	if err := x.sort(); err != nil || x.ended {
		return err
	}
	return errNoEnd
}

func (x *exchange) sort() error {
	for x.scan.Next() {
		switch e := x.scan.Event(); e.Kind {
		case openai.KindChunk:
			if err := x.firstByte(); err != nil {
				return err
			}
			x.out = append(x.out, e.Raw...)
		case openai.KindUsage:
			x.usage = append(x.usage[:0], e.Data...)
		case openai.KindError:
			return &answerError{status: http.StatusInternalServerError, message: openai.EngineError(http.StatusInternalServerError, e.Data)}
		case openai.KindDone:
			x.done = append(x.done[:0], e.Raw...)
			x.ended, x.endedAt = true, time.Now()
			return nil
		}
	}
	return nil
}

// firstByte notes when the answer's first byte has come. From then on the request belongs to its instance, unless that was lost just before.
func (x *exchange) firstByte() error {
	if !x.firstAt.IsZero() {
		return nil
	}
	if !x.debt.end() {
		return errInstanceLost
	}
	x.firstAt = time.Now()
	return nil
}

// readWhole collects the answer's body, or borrows it where it came in one piece.
func (x *exchange) readWhole() error {
	x.whole.restart()
	length := x.call.ContentLength()
	for x.whole.n <= wholeLimit {
		piece, err := x.call.Next(0)
		if err == io.EOF {
			x.ended, x.endedAt = true, time.Now()
			return x.checkWhole()
		}
		if err != nil {
			return err
		}
		if err := x.firstByte(); err != nil {
			return err
		}
		if int64(len(piece)) == length {
			x.whole.borrow(piece)
			x.ended, x.endedAt = true, x.firstAt
			return x.checkWhole()
		}
		if x.whole.n == 0 && length <= wholeLimit {
			if err := x.whole.reserve(max(int(length), len(piece))); err != nil {
				return err
			}
		}
		if err := x.whole.append(piece); err != nil {
			return err
		}
	}
	x.raw = true
	return nil
}

// checkWhole knows the answer of a dying engine: TensorRT-LLM's interrupts itself and gives 200 with "null" or nothing.
func (x *exchange) checkWhole() error {
	if b := bytes.TrimSpace(x.whole.bytes()); len(b) == 0 || string(b) == "null" {
		x.firstAt = time.Time{}
		return errNotAnswered
	}
	return nil
}

// pullRaw relays an answer that is too large to be held. The last byte stays back until the record stands.
func (x *exchange) pullRaw() error {
	piece, err := x.call.Next(0)
	x.out = x.out[:0]
	if len(piece) > 0 {
		if x.held {
			x.out = append(x.out, x.hold)
		}
		x.out = append(x.out, piece[:len(piece)-1]...)
		x.hold, x.held = piece[len(piece)-1], true
	}
	if err == io.EOF {
		x.ended, x.endedAt = true, time.Now()
		return nil
	}
	return err
}

// answerError is an answer of the engine that is no success.
type answerError struct {
	status  int
	message string // fit to be shown
	callers bool   // the request was at fault, not the engine
}

func (e *answerError) Error() string {
	return fmt.Sprintf("the engine answered %d: %s", e.status, e.message)
}

func (e *answerError) failure() *failure {
	switch {
	case e.callers:
		return failf(codeInvalidRequest, "%s", e.message)
	case e.status == http.StatusTooManyRequests:
		return failf(codeOverloaded, "The engine cannot take more requests now.").because(e)
	}
	return failf(codeEngineError, "The engine failed: %s", e.message).because(e)
}

// readRefusal reads an answer that is no success.
func (x *exchange) readRefusal() error {
	for x.whole.restart(); x.whole.n < errorLimit; {
		piece, err := x.call.Next(errorLimit - x.whole.n)
		if err := x.whole.append(piece); err != nil {
			return err
		}
		if err != nil {
			break // what was read tells enough
		}
	}
	e := &answerError{status: x.call.Status(), message: openai.EngineError(x.call.Status(), x.whole.bytes())}
	e.callers = x.callersFault(e)
	return e
}

// callersFault tells a wrong request from an engine in trouble. TensorRT-LLM answers nearly every failure with 400
// (tensorrt_llm/serve/openai_server.py turns any exception into one), so its words and the instance's state are asked too.
func (x *exchange) callersFault(e *answerError) bool {
	switch e.status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
	default:
		return false
	}
	body := x.whole.bytes()
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte(`{"error":"`)) {
		return true // pydantic's verdict on the request itself, a bare string
	}
	words := strings.ToLower(string(body))
	for _, trouble := range engineTroubles {
		if strings.Contains(words, trouble) {
			return false
		}
	}
	return x.instanceReady()
}

// engineTroubles are words of engines that refuse work because of their own state.
var engineTroubles = []string{
	"shutting down", "shut down", "shutdown", "parked", "parking", "waking", "sleeping", "memory state", "admission",
	"unavailable", "not running", "executor", "cuda", "nccl", "out of memory", "internal error", "event loop",
}

// instanceReady asks the activator whether the instance that has just refused is still one that takes requests.
func (x *exchange) instanceReady() bool {
	state := x.r.c.Activator.InstanceState(x.lease.Instance)
	return state == fleet.Ready || state == fleet.Draining
}
