package webhook

import (
	"context"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// Held says why a webhook sends nothing until an operator says how to go on.
type Held string

// The reasons. Empty = it sends.
const (
	HeldGone       Held = "gone"        // its endpoint has answered 410
	HeldCursorLost Held = "cursor_lost" // the record where it stopped is not kept any more
	HeldTooOld     Held = "too_old"     // Stripe: what is next is older than what it knows again
)

// state is where a webhook is. It is kept as settings of the scope webhook/NAME.
type state struct {
	cursor string // of the last record that was taken; "" = before the first that is kept
	held   Held
	asked  time.Time // an operator's word to send what had ended before, however old it is
}

// fromStart stands for an empty cursor, which a setting cannot be.
const fromStart = "start"

func scope(name string) string { return "webhook/" + name }

// recall reads a webhook's state. known is false where there is none: then it is new.
func recall(ctx context.Context, st *store.Store, name string) (s state, known bool, err error) {
	settings, err := st.Settings(ctx, scope(name))
	if err != nil || settings["cursor"] == "" {
		return s, false, err
	}
	if s.cursor = settings["cursor"]; s.cursor == fromStart {
		s.cursor = ""
	}
	s.held = Held(settings["held"])
	if text := settings["asked"]; text != "" {
		if s.asked, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return s, false, fmt.Errorf("reading where webhook %s is: %w", name, err)
		}
	}
	return s, true, nil
}

// keep keeps it, and what else is to be written with it; nil = nothing.
func (s state) keep(ctx context.Context, st *store.Store, name string, also store.Also) error {
	settings := map[string]string{"cursor": s.cursor, "held": string(s.held), "asked": ""}
	if s.cursor == "" {
		settings["cursor"] = fromStart
	}
	if !s.asked.IsZero() {
		settings["asked"] = s.asked.UTC().Format(time.RFC3339Nano)
	}
	return st.SaveSettings(ctx, scope(name), settings, also)
}

// audited is what the audit log keeps of it.
func (s state) audited() map[string]any {
	return map[string]any{"cursor": s.cursor, "held": string(s.held)}
}
