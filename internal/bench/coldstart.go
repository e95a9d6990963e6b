package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Coldstart asks a model that is cold, and then again while it is hot, so many times over.
type Coldstart struct {
	Sender Sender
	Like   Request // what is asked
	Runs   int     // 1 or more
	Hot    int     // requests of each run behind its first

	// Cool returns when the model is cold, as far as the caller of Run can see to that.
	Cool func(ctx context.Context) error
	// Keep is told of each sample, with its run from 0 and its place in it.
	Keep func(run, place int, s *Sample)
}

// Run does it. It ends early, without an error, when ctx is done.
func (c *Coldstart) Run(ctx context.Context) error {
	if c.Runs < 1 || c.Hot < 0 {
		return fmt.Errorf("%d runs of one cold and %d hot requests; write 1 or more runs", c.Runs, c.Hot)
	}
	number := 0
	for run := range c.Runs {
		if err := c.Cool(ctx); err != nil {
			if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
				return nil
			}
			return err
		}
		for place := range c.Hot + 1 {
			if ctx.Err() != nil {
				return nil
			}
			q := c.Like
			q.Number = number
			number++
			s := &Sample{Model: q.Model, Intended: time.Now()}
			c.Sender.Send(ctx, &q, s)
			c.Keep(run, place, s)
		}
	}
	return nil
}
