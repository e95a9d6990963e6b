package router

import (
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// response is what a caller is told, and how far that has come.
type response struct {
	committed bool      // a keep-alive has sent status and headers: failures are events now
	beating   bool      // keep-alives are wanted
	beat      heartbeat // while the caller waits for the engine's first event
	saidAt    time.Time // when it was told something last
	timings   timings

	ready []byte // what Read gives next
	last  error  // what Read gives after it, in stageFailed
	hold  byte   // of a body that is relayed: the last byte, until the record stands
	held  bool   // hold is one
	note  []byte // memory for keep-alives and headers
}

func (s *response) forget() {
	s.beat.stop()
	*s = response{beat: s.beat, note: s.note[:0]}
}

// heartbeat is the timer of the next keep-alive. It is made when it is first needed: thousands may wait without one.
type heartbeat struct{ timer *time.Timer }

func (b *heartbeat) in(d time.Duration) {
	if b.timer == nil {
		b.timer = time.NewTimer(d)
		return
	}
	b.timer.Reset(d)
}

func (b *heartbeat) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

func (b *heartbeat) due() <-chan time.Time {
	if b.timer == nil {
		return nil
	}
	return b.timer.C
}

// due is the moment at which a caller who is told nothing gets a keep-alive; zero = never.
func (s *response) due(in *intake) time.Time {
	if !s.beating {
		return time.Time{}
	}
	return s.saidAt.Add(in.r.c.StreamHeartbeat)
}

// keepalive gives a keep-alive.
func (s *response) keepalive(in *intake, a *attempt) []byte {
	if in.keepalive() == keepChunk {
		if s.note = in.appendEmpty(s.note[:0]); len(s.note) > 0 {
			return s.note
		}
	}
	o := fleet.Outlook{Answer: fleet.Serving, Phase: fleet.PhaseReady}
	if a.waiter != nil {
		o = a.waiter.Outlook()
	}
	s.note = append(append(s.note[:0], ": pilotlight state="...), o.Answer...)
	if o.Phase != "" {
		s.note = append(append(s.note, " phase="...), o.Phase...)
	}
	if o.ETA > 0 {
		s.note = append(s.note, " eta_s="...)
		s.note = strconv.AppendInt(s.note, int64((o.ETA+time.Second-1)/time.Second), 10)
	}
	s.note = append(s.note, "\n\n"...)
	if in.endpoint.pings {
		s.note = in.appendEmpty(s.note)
	}
	return s.note
}

// started is a comment that says, behind keep-alives, what the headers no longer could. It is the caller's to keep.
func (s *response) started() []byte {
	b := append(append([]byte(nil), ": pilotlight start="...), s.timings.start...)
	b = append(append(b, " instance="...), s.timings.instance...)
	b = strconv.AppendInt(append(b, " queue_ms="...), s.timings.queued.Milliseconds(), 10)
	b = strconv.AppendInt(append(b, " activate_ms="...), s.timings.activating.Milliseconds(), 10)
	return append(b, "\n\n"...)
}
