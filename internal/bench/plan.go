package bench

import (
	"fmt"
	"io"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// Request is one request that is to be sent.
type Request struct {
	Number int           // in the run, from 0
	At     time.Duration // from the start of the run; 0 in a closed loop
	Model  string
	Input  int // tokens of the prompt
	Output int // tokens of the answer, at most
}

// Plan fills in the next request of a run; io.EOF = there are no more. It is not safe for concurrent use.
type Plan func(*Request) error

// Repeat plans requests that are like one, at the times of arrivals; nil = a closed loop's, which has none.
func Repeat(like Request, arrivals Arrivals) Plan {
	return func(r *Request) error {
		number := r.Number
		*r = like
		r.Number = number
		if arrivals != nil {
			r.At = arrivals()
		}
		return nil
	}
}

// First cuts a plan off behind n requests.
func First(n int, p Plan) Plan {
	return func(r *Request) error {
		if n == 0 {
			return io.EOF
		}
		n--
		return p(r)
	}
}

// Replay says which part of a trace is sent, and how.
type Replay struct {
	From   time.Duration     // what arrives before it is left out
	For    time.Duration     // and so is what arrives so long after From; 0 = all the rest
	Speed  float64           // gaps are divided by it; 0 = 1
	Rename map[string]string // model of the trace -> model of the server; "" -> those that are not named
	Output int               // most tokens of an answer; 0 = as the trace says
}

// Plan reads requests from a trace. profiles are those that the trace was opened with.
func (c Replay) Plan(arrived *trace.Reader, profiles []trace.Profile) (Plan, error) {
	if c.Speed == 0 {
		c.Speed = 1
	}
	if !(c.Speed > 0) {
		return nil, fmt.Errorf("a speed of %v; write a number above 0", c.Speed)
	}
	names := c.Names(profiles)
	return func(r *Request) error {
		var q trace.Request
		for {
			if err := arrived.Read(&q); err != nil {
				return err
			}
			if q.At >= c.From {
				break
			}
		}
		if c.For > 0 && q.At >= c.From+c.For {
			return io.EOF
		}
		r.At = seconds((q.At - c.From).Seconds() / c.Speed)
		r.Model, r.Input, r.Output = names[q.Model], max(q.Input, 1), max(q.Output, 1)
		if c.Output > 0 {
			r.Output = min(r.Output, c.Output)
		}
		return nil
	}, nil
}

// Names gives what each of the trace's models is asked for as, in their order.
func (c Replay) Names(profiles []trace.Profile) []string {
	names := make([]string, len(profiles))
	for i := range profiles {
		name, found := c.Rename[profiles[i].Model]
		switch {
		case found:
			names[i] = name
		case c.Rename[""] != "":
			names[i] = c.Rename[""]
		default:
			names[i] = profiles[i].Model
		}
	}
	return names
}
