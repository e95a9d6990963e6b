package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/alecthomas/kong"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// name is something that a server has, with what tells it from others of its kind.
type name struct{ text, about string }

// nameKind is a kind of things that a server has names for. The tag complete of an argument or flag gives its key in nameKinds.
type nameKind struct {
	noun string // of one
	list string // the command that shows them all
	all  func(context.Context, *admin.Client) ([]name, error)
}

var nameKinds = map[string]nameKind{
	"model": {"model", "model list", func(ctx context.Context, c *admin.Client) ([]name, error) {
		return namesOfAll(func() ([]admin.Model, error) { return c.Models(ctx) }, func(m admin.Model) name {
			return name{m.ID, fmt.Sprintf("%s, %s", m.State, plural(m.GPUs, "GPU"))}
		})
	}},
	"org": {"organisation", "org list", func(ctx context.Context, c *admin.Client) ([]name, error) {
		return namesOfAll(func() ([]admin.Org, error) { return c.Orgs(ctx) }, func(o admin.Org) name { return name{o.Name, string(o.State)} })
	}},
	"pool": {"pool", "pool list", func(ctx context.Context, c *admin.Client) ([]name, error) {
		return namesOfAll(func() ([]admin.Pool, error) { return c.Pools(ctx) }, func(p admin.Pool) name {
			return name{p.Name, fmt.Sprintf("%s of %s", plural(len(p.Live), "slot"), plural(p.GPUsPerSlot, "GPU"))}
		})
	}},
	"token": {"token", "token list", func(ctx context.Context, c *admin.Client) ([]name, error) {
		return namesOfAll(func() ([]admin.Token, error) { return c.Tokens(ctx, "") }, func(t admin.Token) name {
			about := strings.TrimSpace(t.Name + " of " + t.Org)
			if t.RevokedAt != nil {
				about += ", revoked"
			}
			return name{t.ID, about}
		})
	}},
	"webhook": {"webhook", "webhook list", func(ctx context.Context, c *admin.Client) ([]name, error) {
		return namesOfAll(func() ([]admin.Webhook, error) { return c.Webhooks(ctx) }, func(w admin.Webhook) name { return name{w.Name, w.URL} })
	}},
	"orphan": {"orphan", "orphans list", func(ctx context.Context, c *admin.Client) ([]name, error) {
		return namesOfAll(func() ([]admin.Orphan, error) { return c.Orphans(ctx) }, func(o admin.Orphan) name {
			return name{o.ID, cmp.Or(o.Model, o.Pool) + ", " + orphanReasons[o.Why]}
		})
	}},
}

func namesOfAll[T any](ask func() ([]T, error), named func(T) name) ([]name, error) {
	all, err := ask()
	names := make([]name, len(all))
	for i, one := range all {
		names[i] = named(one)
	}
	return names, err
}

// nearestWithin bounds what the look for the right name may take, after a command that has failed.
const nearestWithin = 2 * time.Second

// nearestNames makes of a server's refusal, where a name is the reason that the server does not know, an error that says which names it has.
func nearestNames(env *Env, command *kong.Node, err error) error {
	var refused *openai.Error
	if command == nil || env.client == nil || !errors.As(err, &refused) || refused.Status != http.StatusNotFound && refused.Status != http.StatusBadRequest {
		return err
	}
	ctx, cancel := context.WithTimeout(env.ctx, nearestWithin)
	defer cancel()
	for _, v := range valuesOf(command) {
		kind, ok := nameKinds[v.Tag.Get("complete")]
		given := texts(v.Target)
		if !ok || len(given) == 0 {
			continue
		}
		known, lerr := kind.all(ctx, env.client)
		if lerr != nil {
			return err
		}
		for _, one := range given {
			if !slices.ContainsFunc(known, func(n name) bool { return n.text == one }) {
				return kind.unknown(one, known)
			}
		}
	}
	return err
}

// valuesOf gives the arguments and flags of a command, those of its parents too.
func valuesOf(command *kong.Node) []*kong.Value {
	values := slices.Clone(command.Positional)
	for _, group := range command.AllFlags(false) {
		for _, f := range group {
			values = append(values, f.Value)
		}
	}
	return values
}

// texts gives what was given as an argument or flag; a list with commas item by item.
func texts(target reflect.Value) []string {
	for target.Kind() == reflect.Pointer {
		if target.IsNil() {
			return nil
		}
		target = target.Elem()
	}
	switch given := target.Interface().(type) {
	case string:
		return splitList(given)
	case []string:
		return given
	}
	return nil
}

func (k nameKind) unknown(given string, known []name) error {
	const few = 5
	near := nearest(given, known)
	switch {
	case len(near) > 0:
		return fmt.Errorf("there is no %s %q; did you mean %s? `pilotlight %s` shows them all", k.noun, given, strings.Join(near, " or "), k.list)
	case len(known) == 0:
		return fmt.Errorf("there is no %s %q, nor any other", k.noun, given)
	case len(known) <= few:
		var all []string
		for _, n := range known {
			all = append(all, n.text)
		}
		return fmt.Errorf("there is no %s %q, only %s", k.noun, given, strings.Join(all, ", "))
	}
	return fmt.Errorf("there is no %s %q; `pilotlight %s` shows them all", k.noun, given, k.list)
}

// nearest gives the names that were probably meant, the likeliest first, at most three.
func nearest(given string, known []name) []string {
	const most = 3
	type match struct {
		text string
		cost int
	}
	var matches []match
	for _, n := range known {
		if cost, ok := unlikeness(strings.ToLower(given), strings.ToLower(n.text)); ok {
			matches = append(matches, match{n.text, cost})
		}
	}
	slices.SortStableFunc(matches, func(a, b match) int { return cmp.Compare(a.cost, b.cost) })
	if len(matches) > 0 { // beside one that is nearly right, what is far off only confuses
		best := matches[0].cost
		matches = slices.DeleteFunc(matches, func(m match) bool { return m.cost > best+2 })
	}
	var names []string
	for _, m := range matches[:min(len(matches), most)] {
		names = append(names, m.text)
	}
	return names
}

// unlikeness says how far a name is from what was given, both in lower case; false = too far. Letters may be wrong, in the name or in its part after the last
// slash; or all words of what was given are in the name, in any order, as in llama-8b.
func unlikeness(given, known string) (cost int, near bool) {
	cost = min(levenshtein.Distance(given, known, nil), levenshtein.Distance(given, known[strings.LastIndexByte(known, '/')+1:], nil))
	if shorter := min(len(given), len(known)); cost <= max(min(2, shorter-2), shorter/4) {
		return cost, true
	}
	words := strings.FieldsFunc(given, func(r rune) bool { return strings.ContainsRune("/-_. ", r) })
	for _, w := range words {
		if !strings.Contains(known, w) {
			return 0, false
		}
	}
	return 10, len(words) > 0 && len(given) > 2
}
