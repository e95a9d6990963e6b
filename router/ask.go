package router

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// wholeLimit is the largest answer that is held to be sent with its bill in the headers; a larger one is relayed. Of an error no more is read.
const wholeLimit = 32 << 20

// What is wrong with an engine's answer. A status of 200 says little: what stands in it is held to the probe's own measure.
var (
	errNotAnswered = errors.New("the engine's answer holds nothing that was generated")
	errNoEnd       = errors.New("the engine's stream ended before its answer")
	errNotEvents   = errors.New("the engine answered a stream with something else")
	errEncoded     = errors.New("the engine's answer is compressed, which was not asked for")
	errUsage       = errors.New("the engine says that it has used an impossible number of tokens")
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
	err := a.r.engines.Do(&a.line.call, a.request())
	a.dispatched = a.line.call.Dispatched()
	if err != nil {
		return err
	}
	if a.answered = a.line.call.Status()/100 == 2; !a.answered {
		return a.readRefusal()
	}
	if a.line.call.Encoded() {
		return errEncoded
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
		if err := a.readAll(); err != nil {
			return err
		}
		if answer, _ := openai.ReadAnswer(a.whole.bytes(), a.in.asked().list); answer.Error {
			return a.refused(http.StatusOK, a.whole.bytes())
		}
		return errNotEvents
	}
	for len(a.out) == 0 && !a.ended {
		if err := a.pull(time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// pull reads once from the engine and moves whole events to out. The usage event and [DONE] are kept back; comments are
// dropped, because only the caller's keep-alive mode decides whether it gets any. It gives up with upstream.ErrNotYet at a moment, zero = never.
func (a *attempt) pull(by time.Time) error {
	defer a.weigh()
	piece, err := a.line.call.NextBy(0, by)
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
	if !a.line.scan.Finished() {
		return errNoEnd
	}
	return a.end(openai.Done)
}

func (a *attempt) sort() error {
	if d := a.in.native(); d != nil {
		return a.sortNative(d)
	}
	for a.line.scan.Next() {
		switch e := a.line.scan.Event(); e.Kind {
		case openai.KindChunk:
			if !isObject(e.Data) {
				return errNotEvents
			}
			if err := a.firstToken(); err != nil {
				return err
			}
			a.out = a.in.appendChunk(a.out, &e)
		case openai.KindUsage:
			a.usage = a.in.appendData(a.usage[:0], e.Data)
		case openai.KindError:
			return a.refused(http.StatusOK, e.Data)
		case openai.KindDone:
			return a.end(e.Raw)
		}
	}
	return nil
}

// isObject tells data that may be a chunk from what is none. A look at its ends costs nothing.
func isObject(data []byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 1 && data[0] == '{' && data[len(data)-1] == '}'
}

// end takes the end of a stream.
func (a *attempt) end(done []byte) error {
	if a.firstAt.IsZero() {
		return errNotAnswered
	}
	if a.in.native() == nil {
		a.said = a.line.scan.Usage()
	}
	if !a.said.Possible(a.contextOfStream()) {
		return errUsage
	}
	a.done = append(a.done[:0], done...)
	a.ended, a.endedAt = true, time.Now()
	return nil
}

// contextOfStream bounds the prompt of a request. A completions request may have many prompts, and which answers are whose is not looked at.
func (a *attempt) contextOfStream() int {
	if a.in.asked() == chatEndpoint {
		return a.model.ContextLength
	}
	return 0
}

// firstByte notes when the answer's first byte has come. From then on the request belongs to its instance, unless that was lost just before.
func (a *attempt) firstByte() error {
	if !a.firstAt.IsZero() {
		return nil
	}
	if !a.line.debt.end() {
		return errInstanceLost
	}
	a.firstAt = a.line.call.LastByte()
	return nil
}

// firstToken is firstByte for an event of a stream, each of which shows that the engine works.
func (a *attempt) firstToken() error {
	if !a.firstAt.IsZero() {
		return nil
	}
	if err := a.firstByte(); err != nil {
		return err
	}
	a.lease.Prove()
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
	if head := bytes.TrimSpace(a.whole.bytes()[:64]); len(head) == 0 || head[0] != '{' {
		return errNotAnswered
	}
	a.lease.Prove()
	a.raw = true
	return nil
}

// checkWhole sees to it that the answer is one. TensorRT-LLM's dying engine interrupts itself and gives 200 with "null" or nothing.
func (a *attempt) checkWhole() error {
	answer, whole := openai.ReadAnswer(a.whole.bytes(), a.in.asked().list)
	if whole && answer.Possible(a.model.ContextLength) {
		a.lease.Prove()
		if a.said = answer.Usage; a.in.native() != nil {
			a.said = a.in.native().Usage(a.whole.bytes())
		}
		return nil
	}
	a.firstAt = time.Time{} // there was none
	switch {
	case answer.Error:
		return a.refused(http.StatusOK, a.whole.bytes())
	case whole:
		return errUsage
	}
	return errNotAnswered
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
