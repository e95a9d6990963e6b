package faultsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// outcome is what a run has played, or several of the same world.
type outcome struct {
	World          string         `json:"world"` // the package and its test
	Seeds          int            `json:"seeds"`
	FirstSeeds     []uint64       `json:"first_seeds"` // of each run
	Steps          int            `json:"steps"`
	Seconds        float64        `json:"seconds"`
	StepsPerSecond int            `json:"steps_per_second"`
	Reached        map[string]int `json:"reached"`
}

func (r *run) outcome() *outcome {
	took := max(time.Since(r.began), time.Millisecond).Seconds()
	return &outcome{
		Seeds: r.seeds, FirstSeeds: []uint64{r.first}, Steps: r.steps, Seconds: float64(int(took*10)) / 10, StepsPerSecond: int(float64(r.steps) / took), Reached: r.counts,
	}
}

// String gives it for people.
func (o *outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d histories, seeds from %d on: %d steps in %.1f s, %d a second", o.Seeds, o.FirstSeeds[0], o.Steps, o.Seconds, o.StepsPerSecond)
	for _, what := range slices.Sorted(maps.Keys(o.Reached)) {
		fmt.Fprintf(&b, "\n%9d %s", o.Reached[what], what)
	}
	return b.String()
}

// outcomes are those of several runs, each of other seeds, by their worlds.
type outcomes struct {
	Seeds  int        `json:"seeds"` // of all
	Steps  int        `json:"steps"`
	Worlds []*outcome `json:"worlds"`
}

// add adds the outcome of a run.
func (all *outcomes) add(o *outcome) {
	all.Seeds, all.Steps = all.Seeds+o.Seeds, all.Steps+o.Steps
	for _, of := range all.Worlds {
		if of.World == o.World {
			of.add(o)
			return
		}
	}
	all.Worlds = append(all.Worlds, o)
}

func (o *outcome) add(more *outcome) {
	o.Seeds, o.Steps, o.Seconds = o.Seeds+more.Seeds, o.Steps+more.Steps, o.Seconds+more.Seconds
	o.FirstSeeds = append(o.FirstSeeds, more.FirstSeeds...)
	o.StepsPerSecond = int(float64(o.Steps) / o.Seconds)
	for what, n := range more.Reached {
		o.Reached[what] += n
	}
}

// keep adds it to a file of outcomes.
func (o *outcome) keep(path string) error {
	var all outcomes
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading earlier outcomes: %w", err)
	}
	all.add(o)
	if text, err = json.MarshalIndent(&all, "", "\t"); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// worldOf names the world of a test: a test runs in its package's directory.
func worldOf(test string) string {
	dir, err := os.Getwd()
	if err != nil {
		return test
	}
	for root := dir; root != filepath.Dir(root); root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			if rel, err := filepath.Rel(root, dir); err == nil {
				return filepath.ToSlash(rel) + " " + test
			}
		}
	}
	return test
}
