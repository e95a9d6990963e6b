package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// lookEvery is how often a waiting command looks. Each look is two small answers from memory.
const lookEvery = 100 * time.Millisecond

// waiting shows on stderr how a model becomes hot: a line a phase, which on a terminal goes on until the phase has ended.
type waiting struct {
	env    *Env
	client *admin.Client
	model  string
	began  time.Time
	until  time.Time     // it is held hot until then, and is not started after that
	held   time.Duration // for so long
	of     uint64        // the activation that is shown; 0 = none yet
	phases int           // of it that have a line
	line   string        // the last line, without what changes in it
	width  int           // of the line that the next one writes over; on a terminal only
}

// untilHot returns when the model is hot, or with exit status 2 when its activation has failed. m is how it stands now.
func (w *waiting) untilHot(m *admin.Model) (*admin.Model, error) {
	for {
		failure, err := w.look(m)
		if err != nil {
			return nil, err
		}
		if m.State == string(fleet.Hot) {
			w.show(w.env.Now().Sub(w.began), "hot", "")
			w.end()
			return m, nil
		}
		if failure != "" {
			w.end()
			return nil, exitError{error: fmt.Errorf("%s did not become hot: %s", w.model, failure), code: 2}
		}
		if err := pause(w.env.ctx, lookEvery); err != nil {
			return nil, err
		}
		if m, err = w.client.Model(w.env.ctx, w.model); err != nil {
			return nil, err
		}
	}
}

// look shows the phases of the model's newest activation, and says why it cannot succeed, if it cannot.
func (w *waiting) look(m *admin.Model) (failure string, err error) {
	if m.Outlook.Answer == fleet.NeverFits {
		return m.Outlook.Reason, nil
	}
	activations, err := w.client.Activations(w.env.ctx)
	if err != nil {
		return "", err
	}
	for _, a := range activations {
		if a.Model != w.model {
			continue
		}
		if a.EndedAt == nil || a.EndedAt.After(w.began) {
			w.activation(m, &a)
			return a.Failure, nil
		}
		break // newest first: what is left is history
	}
	switch {
	case m.State == string(fleet.Hot):
	case w.env.Now().After(w.until) && m.Waiting == 0:
		return fmt.Sprintf("it was to be held hot for %s, and these are over before it could be started; hold it for longer with --for%s",
			fleet.FormatDuration(w.held), because(m.Outlook.Reason)), nil
	default:
		w.show(w.env.Now().Sub(w.began), string(m.Outlook.Answer), m.Outlook.Reason)
	}
	return "", nil
}

// activation shows every phase that the activation has entered, also one that was over before anybody looked. Times are the server's, from when it began.
func (w *waiting) activation(m *admin.Model, a *admin.Activation) {
	if a.ID != w.of {
		w.of, w.phases = a.ID, 0
		w.began = w.env.Now().Add(-time.Since(a.BeganAt.Time)) // what comes before it was no start
	}
	for i, p := range a.Phases {
		if i < w.phases-1 || p.Phase == fleet.PhaseReady { // which is said as hot
			continue
		}
		w.phases = i + 1
		more, until := "", w.env.Now()
		switch {
		case i+1 < len(a.Phases):
			until = a.Phases[i+1].At.Time
		case a.EndedAt != nil:
			until = a.EndedAt.Time
		default:
			more = eta(m)
		}
		if w.env.Progress {
			more = strings.TrimSpace(fmt.Sprintf("%5.1fs  %s", max(until.Sub(p.At.Time), 0).Seconds(), more))
		}
		w.show(p.At.Sub(a.BeganAt.Time), string(p.Phase), more)
	}
}

// show shows a phase and since when it is: on a terminal over its line before, elsewhere once.
func (w *waiting) show(at time.Duration, phase, more string) {
	begun := phase != w.line
	w.line = phase
	if !w.env.Progress {
		if !begun {
			return
		}
		text := fmt.Sprintf("%6.1fs  %s", at.Seconds(), phase)
		if more != "" {
			text += "  (" + more + ")"
		}
		w.env.say("%s", text)
		return
	}
	if begun {
		w.end()
	}
	text := strings.TrimRight(fmt.Sprintf("%6.1fs  %-9s %s", at.Seconds(), phase, more), " ")
	fmt.Fprintf(w.env.Stderr, "\r%s%s", text, strings.Repeat(" ", max(0, w.width-len(text))))
	w.width = len(text)
}

// end lets the next line begin below.
func (w *waiting) end() {
	if w.env.Progress && w.width > 0 {
		fmt.Fprintln(w.env.Stderr)
	}
	w.width = 0
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func eta(m *admin.Model) string {
	if m.Outlook.ETAUS == nil {
		return ""
	}
	left := time.Duration(*m.Outlook.ETAUS) * time.Microsecond
	return "about " + left.Round(100*time.Millisecond).String() + " left"
}

// pause waits for d, or returns why not.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx))
	}
}
