package autoscaler

import (
	"encoding/json"
	"fmt"
	"slices"
)

// saved is what Adaptive carries over a restart, in a form that later versions can tell apart. Demand, and what is idle since when, are not in it: after a restart they
// are not known until they are told.
type saved struct {
	Version int
	Fleet   [contexts]histogram
	Models  map[string]savedModel
}

type savedModel struct {
	Gaps    gaps
	Wakes   waitCost
	Colds   waitCost
	Moves   moves
	Seen    [4]bool  // earlier versions had three
	Rhythm  rhythm   `json:"Beat"` // the name under which it has always been saved
	Leaders []leader `json:",omitempty"`
}

const savedVersion = 1

// Save gives what the policy has learned: some kilobytes a model, the same bytes for the same knowledge.
func (a *Adaptive) Save() ([]byte, error) {
	s := saved{Version: savedVersion, Fleet: a.fleet, Models: make(map[string]savedModel)}
	for id, m := range a.models {
		s.Models[id] = savedModel{Gaps: m.Gaps, Wakes: m.Wakes, Colds: m.Colds, Moves: m.Moves, Seen: m.Seen, Rhythm: m.Rhythm, Leaders: m.Leaders}
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("saving what the policy has learned: %w", err)
	}
	return b, nil
}

// Load takes what Save gave, in place of what the policy knows. It must come before the first Observe. What an unknown version saved is refused: the policy
// then learns anew.
func (a *Adaptive) Load(b []byte) error {
	var s saved
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("loading what the policy has learned: %w", err)
	}
	if s.Version != savedVersion {
		return fmt.Errorf("loading what the policy has learned: version %d is not %d", s.Version, savedVersion)
	}
	a.fleet = s.Fleet
	clear(a.models)
	for id, m := range s.Models {
		a.models[id] = &knowledge{Gaps: m.Gaps, Wakes: m.Wakes, Colds: m.Colds, Moves: m.Moves, Seen: m.Seen, Rhythm: m.Rhythm, Leaders: m.Leaders}
	}
	for id, m := range a.models {
		for i := range m.Leaders {
			if of := a.models[m.Leaders[i].Model]; of != nil {
				of.followers = append(of.followers, id)
			}
		}
	}
	for _, m := range a.models {
		slices.Sort(m.followers)
	}
	return nil
}
