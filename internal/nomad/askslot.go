package nomad

import (
	"context"
	"fmt"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// AskSlot gives what a slot's supervisor says now: all that is there, and the highest term that has been. It goes on while the Nomad servers do not answer,
// where the slot is known.
func (n *Nomad) AskSlot(ctx context.Context, id string) (fleet.Observation, error) {
	e, err := n.connectSlot(ctx, id)
	if err != nil {
		return fleet.Observation{}, blame(err)
	}
	watching, enough := context.WithCancel(ctx)
	defer enough()
	var first *fleet.Observation
	err = e.client.Watch(watching, func(o fleet.Observation) {
		if first == nil {
			first = &o
		}
		enough()
	})
	switch {
	case first != nil:
		return *first, nil
	case err == nil:
		err = context.Cause(ctx)
	}
	return fleet.Observation{}, fmt.Errorf("asking the slot %s: %w", id, blameSlot(err))
}
