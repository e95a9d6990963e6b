package console

import (
	"io"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// liveBeat is how often a silent stream of changes says that it is there.
const liveBeat = 15 * time.Second

// live streams the changes of one topic, as htmx takes them: each event has parts that replace the elements of a page.
func (v *visit) live() error {
	n, err := v.topicOf(v.Query("topic"))
	if err != nil {
		return err
	}
	since, _ := strconv.ParseUint(v.Query("since"), 10, 64)
	if last := v.Get("Last-Event-ID"); last != "" {
		since, _ = strconv.ParseUint(last, 10, 64)
	}
	v.Set(fiber.HeaderContentType, "text/event-stream")
	v.Set("X-Accel-Buffering", "no")
	ctx := v.Context()
	ctx.SetConnectionClose()
	body := &changes{
		follower: v.hub.follow(n, since, v.seesOnly()), signedIn: v.signedIn(), conn: edge.Of(ctx), left: make(chan struct{}), beat: time.NewTicker(liveBeat),
		pending: []byte(": following\n\n"),
	}
	if body.conn != nil {
		body.conn.Arm(body)
	}
	ctx.SetBodyStream(body, -1)
	return nil
}

// changes is the body of one stream. fasthttp reads it in the connection's goroutine and closes it at the end.
type changes struct {
	*follower
	signedIn func() bool
	conn     *edge.Conn
	left     chan struct{} // closed when the page has left
	beat     *time.Ticker
	pending  []byte
}

// Leave ends the stream of a page that has left.
func (c *changes) Leave(error) { close(c.left) }

func (c *changes) Read(b []byte) (int, error) {
	for len(c.pending) == 0 {
		select {
		case <-c.left:
			return 0, io.EOF
		case <-c.beat.C:
			c.pending = []byte(": still here\n\n")
		case <-c.news:
			text, open := c.next()
			if !open || !c.signedIn() {
				return 0, io.EOF
			}
			c.pending = text // others have it, too: it is only read
		}
	}
	n := copy(b, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

func (c *changes) Close() error {
	if c.conn != nil {
		c.conn.Disarm()
	}
	c.beat.Stop()
	c.end()
	return nil
}
