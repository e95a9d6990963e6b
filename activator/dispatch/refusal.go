package dispatch

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	retryUnknown = 10 * time.Second // told to retry then where no estimate exists
	retryLongest = 2 * time.Minute  // stock SDKs do not wait longer
)

// refusal adds to an error what is known of the model.
func (q *queue) refusal(now time.Duration, err error) error {
	o := q.outlookAsOf(now)
	return &Refusal{Err: err, Outlook: o, RetryAfter: q.retryAfter(&o, err)}
}

// retryAfter estimates when a retry would find room.
func (q *queue) retryAfter(o *fleet.Outlook, err error) time.Duration {
	wait := o.ETA
	switch {
	case err == ErrEnded, err == ErrNoCapacity && o.Answer == fleet.NeverFits:
		return 0
	case err == ErrShuttingDown:
		wait = time.Second // another server, or the next life of this one
	case q.hot():
		wait = q.drainTime()
	case wait == 0 && !(q.outlookKnown && o.Answer == fleet.BackingOff):
		wait = retryUnknown
	}
	wait = (wait + time.Second - 1).Truncate(time.Second)
	return min(max(wait, time.Second), retryLongest)
}

// drainTime estimates how long those who wait now keep a hot model busy.
func (q *queue) drainTime() time.Duration {
	slots := 0
	for _, i := range q.instances {
		slots += i.slots
	}
	if slots == 0 || q.service == 0 {
		return retryUnknown
	}
	return q.service * time.Duration(q.waiters()+1) / time.Duration(slots)
}

// outlookError gives the error that the outlook means for whoever waits, nil = wait on.
func (q *queue) outlookError() error {
	switch q.outlook.Answer {
	case fleet.NeverFits:
		return ErrNoCapacity
	case fleet.BackingOff:
		return ErrActivationFailed
	default:
		return nil
	}
}

// deadlineError gives the error of one whose time is up.
func (q *queue) deadlineError() error {
	switch {
	case q.hot():
		return ErrNoCapacity
	case q.outlook.Answer == fleet.StartingUp:
		return ErrActivationTimeout
	case q.outlook.Answer == fleet.BackingOff:
		return ErrActivationFailed
	default:
		return ErrNoCapacity
	}
}

// outlookAsOf gives the outlook with its ETA as of now.
func (q *queue) outlookAsOf(now time.Duration) fleet.Outlook {
	o := q.outlook
	o.Model = q.model.ID
	if q.hot() {
		o.Answer, o.Phase, o.ETA = fleet.Serving, fleet.PhaseReady, 0
		return o
	}
	if o.Answer == "" && q.waiters() > 0 { // the planner has not spoken of it yet
		o.Answer, o.Phase = fleet.Busy, fleet.PhaseQueued
	}
	if q.outlookKnown {
		o.ETA = max(o.ETA-(now-q.outlookAt), 0)
	}
	return o
}
