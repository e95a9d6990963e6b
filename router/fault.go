package router

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/socket"
	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// answerError is an error that an engine has answered with, whatever the status of its answer.
type answerError struct {
	openai.Fault
	callers bool     // the request was at fault, not the engine
	unclear bool     // though an engine of this kind says the same of a fault of its own
	tooLong *failure // for it does not fit into the context; nil = that is not said
}

func (e *answerError) Error() string {
	return fmt.Sprintf("the engine answered %d: %s", e.Status, e.Message)
}

func (e *answerError) failure() *failure {
	switch {
	case e.tooLong != nil:
		return e.tooLong
	case e.callers:
		return failf(codeInvalidRequest, "%s", e.Message).at(e.Param)
	case e.Status == http.StatusTooManyRequests:
		return failf(codeOverloaded, "The engine cannot take more requests now.").because(e)
	}
	return failf(codeEngineError, "The engine failed: %s", e.Message).because(e)
}

// readRefusal reads an answer that is no success.
func (a *attempt) readRefusal() error {
	if err := a.readAll(); err != nil {
		return err
	}
	return a.refused(a.line.call.Status(), a.whole.bytes())
}

// readAll collects what is left of an answer that is an error. One that breaks off tells enough.
func (a *attempt) readAll() error {
	for a.whole.restart(); a.whole.n < wholeLimit; {
		piece, err := a.line.call.Next(wholeLimit - a.whole.n)
		if err := a.whole.append(piece); err != nil {
			return err
		}
		if err != nil {
			return nil
		}
	}
	return nil
}

// refused tells a wrong request from an engine in trouble, by status and by the fields of an error that only the engine chooses. The instance may be
// one that takes no requests any more; where a kind answers 400 to everything, it remains unclear.
func (a *attempt) refused(status int, body []byte) *answerError {
	kind := a.model.Engine.Kind
	e := &answerError{Fault: openai.ReadFault(status, body)}
	if a.in.translation != nil {
		e.Param = "" // the caller's request has other fields
	}
	if openai.ContextExceeded(string(kind), e.Status, body) {
		e.tooLong, e.callers = a.model.exceeded(e.Message).at(a.in.endpoint.prompt), true
		return e
	}
	e.callers = e.Callers() && (e.Bare || a.instanceReady())
	e.unclear = e.callers && !e.Bare && status == http.StatusBadRequest && kind.Blames400()
	return e
}

// instanceReady asks the activator whether the instance that has just refused is still one that takes requests.
func (a *attempt) instanceReady() bool {
	state := a.r.c.Activator.InstanceState(a.instance)
	return state == fleet.Ready || state == fleet.Draining
}

// clearWithin bounds how long a caller waits for its error until it is clear whose fault it is.
const clearWithin = 2 * time.Second

// clear finds out whose fault an unclear error is: the engine is sent a request of our own, unless one was just answered. The lease goes back before.
func (a *attempt) clear(e *answerError) {
	a.line.call.Close()
	a.lease.Release(activator.Neutral)
	ctx, cancel := context.WithTimeout(context.Background(), clearWithin)
	defer cancel()
	e.unclear, e.callers = false, a.lease.Answers(ctx)
}

// engineFailure maps what became of an exchange with an engine.
func engineFailure(err error) *failure {
	switch {
	case errors.Is(err, errDrained):
		return failf(codeShuttingDown, "The server has shut down before the request was done.").because(err)
	case errors.Is(err, errReclaimed):
		return failf(codeOverloaded, "The organisation's requests hold more than their share of the server's memory. Please retry when some of them have ended.").
			because(err).after(5 * time.Second)
	case errors.Is(err, upstream.ErrFirstByteTimeout):
		return failf(codeUpstreamTimeout, "The engine sent no answer within the model's time limit.").because(err)
	case errors.Is(err, upstream.ErrIdleTimeout):
		return failf(codeUpstreamTimeout, "The engine fell silent for longer than the model's time limit.").because(err)
	case errors.Is(err, upstream.ErrDeadline):
		return failf(codeUpstreamTimeout, "The request took longer than the model's time limit.").because(err)
	}
	if socket.Exhausted(err) {
		return failf(codeOverloaded, "The server lacks the means to reach the engine now.").because(err)
	}
	if errors.Is(err, openai.ErrEventTooLarge) {
		return failf(codeEngineError, "An event of the engine's answer is larger than this server relays.").because(err)
	}
	return failf(codeEngineError, "The engine failed while it answered.").because(err)
}

// ending says what the failure means for who pays.
func (f *failure) ending() ending {
	switch f.code {
	case codeClientGone:
		return endCaller
	case codeEngineError:
		if errors.Is(f.cause, openai.ErrEventTooLarge) {
			return endTooLarge
		}
		return endEngine
	case codeUpstreamTimeout:
		switch {
		case errors.Is(f.cause, upstream.ErrDeadline):
			return endTotal
		case errors.Is(f.cause, upstream.ErrIdleTimeout):
			return endIdle
		}
		return endFirstByte
	case codeInvalidRequest:
		return endRefused
	case codeBudgetExceeded:
		return endBudget
	case codePermissionDenied, codeInvalidAPIKey:
		return endRights
	}
	return endServer
}
