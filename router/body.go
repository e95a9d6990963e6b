package router

import (
	"errors"
	"io"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/upstream"
)

// SupportsBodyWriteTo has fasthttp write a stream by WriteTo: what one look at the engine has brought leaves as one chunk, and is copied once less. A
// body whose length was said is read.
func (x *exchange) SupportsBodyWriteTo() bool { return x.intake.fields.Stream }

// WriteTo writes the response as it comes. It waits only for the engine, never to gather more.
func (x *exchange) WriteTo(w io.Writer) (written int64, err error) {
	for {
		piece, err := x.next()
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		x.took(len(piece))
		n, err := w.Write(piece)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
}

// Read is WriteTo in pieces of b's size.
func (x *exchange) Read(b []byte) (int, error) {
	piece, err := x.next()
	n := copy(b, piece)
	x.took(n)
	return n, err
}

// next gives what the caller is to get next, valid until it is asked again. The error is io.EOF behind a clean end.
func (x *exchange) next() (piece []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			x.crashed(p)
			piece, err = nil, errCut
		}
	}()
	for len(x.response.ready) == 0 {
		switch x.stage {
		case stageRelaying:
			x.relay()
		case stageSealed:
			return nil, io.EOF
		case stageFailed:
			return nil, x.response.last
		default:
			x.resume()
		}
	}
	return x.response.ready, nil
}

// took notes that so many bytes of what is ready are on their way.
func (x *exchange) took(n int) {
	x.response.ready = x.response.ready[n:]
	x.written += int64(n)
}

// Close ends the exchange: fasthttp calls it once, at the response's end or when the caller cannot be written to.
func (x *exchange) Close() error {
	if x.underway {
		x.line.call.Abort(errClientGone)
		<-x.asked
		x.underway = false
	}
	if x.stage != stageSealed && x.stage != stageFailed {
		x.attempt.leaveQueue()
		x.settleFailure(&failure{code: codeClientGone})
		x.failed = codeClientGone
		x.intake.model.metrics.answered(statusClientGone)
	}
	if x.stage != stageSealed || !x.intake.fields.Stream || x.drain(x.attempt.endedAt) {
		x.retire()
		return nil
	}
	x.intake.conn.Disarm()
	x.intake.conn = nil // its caller has all, and may send another request
	x.r.asking.Go(func() {
		x.drain(time.Now().Add(endWithin))
		x.retire()
	})
	return nil
}

// endWithin bounds how long an engine may take to end its answer behind [DONE].
const endWithin = time.Second

// drain reads the end of the engine's answer behind [DONE], so that its connection can serve again. It is false if the end has not come by then.
func (x *exchange) drain(by time.Time) bool {
	for {
		if _, err := x.line.call.NextBy(0, by); err != nil {
			return !errors.Is(err, upstream.ErrNotYet)
		}
	}
}
