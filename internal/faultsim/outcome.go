package faultsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// outcome is what a run has played.
type outcome struct {
	Seeds          int            `json:"seeds"`
	FirstSeed      uint64         `json:"first_seed"`
	Steps          int            `json:"steps"`
	Seconds        float64        `json:"seconds"`
	StepsPerSecond int            `json:"steps_per_second"`
	Reached        map[string]int `json:"reached"`
}

func (r *run) outcome() *outcome {
	took := max(time.Since(r.began), time.Millisecond).Seconds()
	return &outcome{
		Seeds: r.seeds, FirstSeed: r.first, Steps: r.steps, Seconds: float64(int(took*10)) / 10, StepsPerSecond: int(float64(r.steps) / took), Reached: r.counts,
	}
}

// String gives it for people.
func (o *outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d histories, seeds from %d on: %d steps in %.1f s, %d a second", o.Seeds, o.FirstSeed, o.Steps, o.Seconds, o.StepsPerSecond)
	for _, what := range slices.Sorted(maps.Keys(o.Reached)) {
		fmt.Fprintf(&b, "\n%9d %s", o.Reached[what], what)
	}
	return b.String()
}

// keep enters it in a file of outcomes by name.
func (o *outcome) keep(path, name string) error {
	all := make(map[string]*outcome)
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading earlier outcomes: %w", err)
	}
	all[name] = o
	if text, err = json.MarshalIndent(all, "", "\t"); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
