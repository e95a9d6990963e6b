package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// AfterNow as the place to start at skips what has happened already.
const AfterNow = "now"

// events streams transitions, each with an ID that a client which was cut off sends back as Last-Event-ID.
func (s *Server) events(c *fiber.Ctx) error {
	values := query(c)
	last, given := values["after"]
	if header := c.Get("Last-Event-ID"); header != "" && !given {
		last = header
	}
	after, err := s.after(last)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set("X-Accel-Buffering", "no")
	c.Context().SetConnectionClose()
	c.Context().SetBodyStream(s.follow(edge.Of(c.Context()), after), -1)
	return nil
}

// eventID names a notice of this server's life. Notices are counted from the start of the process: a bare number would
// mean another notice after a restart.
func (s *Server) eventID(n uint64) string { return s.life + "-" + strconv.FormatUint(n, 10) }

// after reads where to start. An ID of another life starts at the oldest that this one remembers.
func (s *Server) after(last string) (uint64, error) {
	switch last {
	case "":
		return 0, nil
	case AfterNow:
		return math.MaxUint64, nil
	}
	life, number, _ := strings.Cut(last, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, edge.Invalid("after", "%q is no id of an event; send one as it came, or %q", last, AfterNow)
	}
	if life != s.life {
		return 0, nil
	}
	return n, nil
}

// eventStream is the body of one answer. fasthttp reads it in the connection's goroutine and closes it at the end.
type eventStream struct {
	conn    *edge.Conn
	cancel  context.CancelCauseFunc
	ctx     context.Context // done = the client has left, or the server ends
	events  chan []byte
	beat    *time.Ticker
	pending []byte
}

var errStreamEnded = errors.New("the stream has ended")

func (s *Server) follow(conn *edge.Conn, after uint64) io.ReadCloser {
	ctx, cancel := context.WithCancelCause(s.ctx)
	e := &eventStream{
		conn: conn, cancel: cancel, ctx: ctx, events: make(chan []byte), beat: time.NewTicker(s.c.Heartbeat),
		pending: []byte(": following\n\n"),
	}
	conn.Arm(e)
	s.streams.Go(func() {
		last := after
		if last == math.MaxUint64 {
			last = 0 // not known
		}
		err := s.c.Fleet.Follow(ctx, after, func(n fleet.Notice) error {
			event := s.event(n)
			if last > 0 && n.ID > last+1 {
				event = append(fmt.Appendf(nil, ": missed %d events\n\n", n.ID-last-1), event...)
			}
			last = n.ID
			return e.push(event)
		})
		cancel(fmt.Errorf("following the fleet: %w", err))
	})
	return e
}

func (s *Server) event(n fleet.Notice) []byte {
	e := Event{ID: s.eventID(n.ID), At: Time{Time: n.At}, Model: n.Model, Instance: n.Instance, From: n.From, To: n.To, Reason: n.Reason, GPUUS: microseconds(n.GPUSeconds), WaitedUS: n.Waited.Microseconds(), Budget: NewBudgetEvent(n.Budget)}
	data, err := json.Marshal(e)
	if err != nil {
		panic(err) // plain data
	}
	return fmt.Appendf(nil, "id: %s\ndata: %s\n\n", e.ID, data)
}

// Leave ends the stream of a client that has left.
func (e *eventStream) Leave(cause error) { e.cancel(cause) }

// push hands one event to the reader. It blocks while the client is slow: nothing is kept for it but what the fleet remembers for everybody, and a comment says
// how many events it has missed.
func (e *eventStream) push(event []byte) error {
	select {
	case e.events <- event:
		return nil
	case <-e.ctx.Done():
		return context.Cause(e.ctx)
	}
}

// Read waits for the next event, or for the time of a comment that keeps proxies from closing a silent stream.
func (e *eventStream) Read(b []byte) (int, error) {
	if len(e.pending) == 0 {
		select {
		case e.pending = <-e.events:
		case <-e.beat.C:
			e.pending = []byte(": still here\n\n")
		case <-e.ctx.Done():
			return 0, io.EOF
		}
	}
	n := copy(b, e.pending)
	e.pending = e.pending[n:]
	return n, nil
}

// Close ends what follows on the stream's behalf.
func (e *eventStream) Close() error {
	e.conn.Disarm()
	e.beat.Stop()
	e.cancel(errStreamEnded)
	return nil
}
