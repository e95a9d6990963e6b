package activator

import (
	"fmt"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Explain says what the policy wishes for the model now, what the planner would do about it, and why, without doing it.
func (a *Activator) Explain(model string) (fleet.Explanation, error) {
	a.planning.Lock()
	a.exchange()
	var e fleet.Explanation
	err := following(a)
	if err == nil {
		e, err = a.planner.Explain(a.now(), model)
	}
	if err != nil {
		err = fmt.Errorf("explaining %s: %w", model, operatorError(err))
	}
	a.finishPlanning()
	return e, err
}
