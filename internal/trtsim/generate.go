package trtsim

import (
	"errors"
	"net/http"
	"time"
)

func (e *Engine) serveChat(w http.ResponseWriter, r *http.Request, body []byte) {
	req, err := parseChat(r, body)
	e.generate(w, r, req, err)
}

func (e *Engine) serveCompletions(w http.ResponseWriter, r *http.Request, body []byte) {
	req, err := parseCompletion(r, body)
	e.generate(w, r, req, err)
}

// generate answers a request to the end, or cuts its connection.
func (e *Engine) generate(w http.ResponseWriter, r *http.Request, req *request, err error) {
	if err != nil {
		writeFailure(w, err)
		return
	}
	rep, err := e.accept(req)
	if err != nil {
		writeFailure(w, err)
		return
	}
	if req.stream {
		err = e.stream(w, r, rep)
	} else if err = e.whole(r, rep); err == nil {
		e.writeBody(w, rep)
	}
	switch {
	case err == nil, errors.Is(err, errGone):
	case errors.Is(err, errNull):
		writeJSON(w, http.StatusOK, []byte("null"))
	default:
		panic(http.ErrAbortHandler)
	}
}

// errNull is the answer of a request that met a fatal engine error: a body of null.
var errNull = errors.New("fatal engine error")

// whole waits for the last token of every answer.
func (e *Engine) whole(r *http.Request, rep *reply) error {
	for {
		if err := e.strike(rep); err != nil {
			return err
		}
		if rep.job.finished.Load() {
			return nil
		}
		if err := e.await(r, rep.job); err != nil {
			return err
		}
	}
}

// strike carries out the request's fault if it is due.
func (e *Engine) strike(rep *reply) error {
	j := rep.job
	if j.fault.Kind == "" || !j.stalled() {
		return nil
	}
	switch j.fault.Kind {
	case FaultDie:
		e.die(ErrDied)
		return errCut
	case FaultCut:
		e.abort(j)
		return errCut
	case FaultFatal:
		e.abort(j)
		e.interruptSelf()
		if rep.stream {
			return errCut
		}
		return errNull
	}
	return nil // it hangs
}

// await waits for news of a job: nil; errGone once the engine has noticed that the client left; errCut if the engine has died.
func (e *Engine) await(r *http.Request, j *job) error {
	select {
	case <-j.notify:
		return nil
	case <-r.Context().Done():
		return e.depart(j)
	case <-e.dead:
		return errCut
	}
}

// depart goes on decoding for a client that has left until the engine's next look at the connection, one a second from the
// request's start.
func (e *Engine) depart(j *job) error {
	if period := e.pace.real(time.Second); period > 0 {
		timer := time.NewTimer(period - time.Since(j.accepted)%period)
		defer timer.Stop()
		for waiting := true; waiting && !j.finished.Load(); {
			select {
			case <-j.notify:
			case <-timer.C:
				waiting = false
			case <-e.dead:
				return errCut
			}
		}
	}
	e.abort(j)
	return errGone
}
