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

// waiting shows on stderr how a model becomes hot.
type waiting struct {
	env    *Env
	client *admin.Client
	model  string
	began  time.Time
	shown  string // the last phase that has a line of its own
	width  int    // of the line that the next one writes over; on a terminal only
}

// untilHot returns when the model is hot, or with exit status 2 when its activation has failed. m is how it stands now.
func (w *waiting) untilHot(m *admin.Model) (*admin.Model, error) {
	for {
		if m.State == string(fleet.Hot) {
			w.line("hot", "")
			w.end()
			return m, nil
		}
		failure, err := w.look(m)
		if err != nil {
			return nil, err
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

// look shows the phase of the model's newest activation, and says why it cannot succeed, if it cannot.
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
		if a.EndedAt != nil && a.Failure != "" && a.EndedAt.After(w.began) {
			return a.Failure, nil
		}
		if a.EndedAt == nil && len(a.Phases) > 0 {
			w.line(string(a.Phases[len(a.Phases)-1].Phase), eta(m))
			return "", nil
		}
		break // newest first: what is left is history
	}
	w.line(string(m.Outlook.Answer), m.Outlook.Reason)
	return "", nil
}

// line shows a phase: on a terminal over the line before, with the time so far; elsewhere once.
func (w *waiting) line(phase, more string) {
	text := fmt.Sprintf("%6.1fs  %s", w.env.Now().Sub(w.began).Seconds(), phase)
	if more != "" {
		text += "  (" + more + ")"
	}
	if phase == w.shown && !w.env.Progress {
		return
	}
	if !w.env.Progress {
		w.env.say("%s", text)
	} else {
		if phase != w.shown && w.shown != "" {
			fmt.Fprintln(w.env.Stderr)
			w.width = 0
		}
		fmt.Fprintf(w.env.Stderr, "\r%s%s", text, strings.Repeat(" ", max(0, w.width-len(text))))
		w.width = len(text)
	}
	w.shown = phase
}

func (w *waiting) end() {
	if w.env.Progress && w.width > 0 {
		fmt.Fprintln(w.env.Stderr)
	}
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
