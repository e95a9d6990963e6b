package peers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Parts are what of a config a planner uses, each with a hash of what it says: "model acme/a" -> hash.
type Parts map[string]string

// Version is one hash of all, short enough for people.
func (p Parts) Version() string {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(sum, "%q %q\n", name, p[name])
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

const modelPart = "model "

// Model names the part of a model.
func Model(id string) string { return modelPart + id }

// Pool names the part of a pool.
func Pool(name string) string { return "pool " + name }

// models gives the IDs of the models.
func (p Parts) models() map[string]bool {
	ids := make(map[string]bool, len(p))
	for name := range p {
		if id, is := strings.CutPrefix(name, modelPart); is {
			ids[id] = true
		}
	}
	return ids
}

// differencesMost is how many differences are named.
const differencesMost = 8

// Differences names what differs in another server's config.
func (p Parts) Differences(other Parts) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		switch hash, has := other[name]; {
		case !has:
			all = append(all, name+" is not in it")
		case hash != p[name]:
			all = append(all, name+" is set otherwise")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(other)) {
		if _, has := p[name]; !has {
			all = append(all, name+" is only in it")
		}
	}
	if over := len(all) - differencesMost; over > 0 {
		all = append(all[:differencesMost], fmt.Sprintf("and %d more", over))
	}
	return all
}
