package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Hunt is how simulated faults have found a mutant.
type Hunt struct {
	Mutant    string  `json:"mutant"`
	Rule      string  `json:"rule"`
	World     string  `json:"world"`     // the test that failed
	Seed      uint64  `json:"seed"`      // of the history that broke a promise
	Histories int     `json:"histories"` // that were played until then, in that world
	Seconds   float64 `json:"seconds"`   // the same
	Promise   string  `json:"promise"`
}

// Hunts are those of several mutants, by their names.
type Hunts map[string]*Hunt

// ReadHunts reads what Write has written; a file that is not there has none.
func ReadHunts(path string) (Hunts, error) {
	hunts, list := Hunts{}, []*Hunt{}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading earlier hunts: %w", err)
	}
	for _, h := range list {
		hunts[h.Mutant] = h
	}
	return hunts, nil
}

// Write writes them into a file, in the order of their worlds and names.
func (h Hunts) Write(path string) error {
	list := slices.SortedFunc(maps.Values(h), func(a, b *Hunt) int {
		return strings.Compare(a.World+" "+a.Mutant, b.World+" "+b.Mutant)
	})
	text, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Hunt has the simulated faults of a package look for the mutant. The error is ErrSurvived where they do not find it.
func (m *Mutant) Hunt(ctx context.Context, root, pkg string) (*Hunt, error) {
	hunted := *m
	hunted.Package, hunted.Test = pkg, "TestFaults"
	out, stderr, err := hunted.play(ctx, root)
	if err == nil {
		err = hunted.judge(out, stderr)
	}
	if err != nil {
		return nil, err
	}
	h := &Hunt{Mutant: m.Name, Rule: m.Rule}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var e struct{ Test, Output string }
		if d.Decode(&e) != nil {
			return nil, fmt.Errorf("mutant %s: the test has failed, and says no seed", m.Path)
		}
		if found := playedMany.FindStringSubmatch(e.Output); found != nil {
			h.Histories, _ = strconv.Atoi(found[1])
		}
		if found := broke.FindStringSubmatch(e.Output); found != nil {
			h.World = pkg + " " + e.Test
			h.Seed, _ = strconv.ParseUint(found[1], 10, 64)
			h.Seconds, _ = strconv.ParseFloat(found[2], 64)
		}
		if _, promise, found := strings.Cut(e.Output, "broken promise: "); found {
			h.Promise = strings.TrimSpace(promise)
			return h, nil
		}
	}
}

var (
	playedMany = regexp.MustCompile(`(\d+) histories, seeds from`)
	broke      = regexp.MustCompile(`seed (\d+) breaks a promise after ([0-9.]+) s`)
)
