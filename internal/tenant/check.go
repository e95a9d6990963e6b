package tenant

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var orgName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkOrgName(name string) error {
	if orgName.MatchString(name) {
		return nil
	}
	return &InvalidError{"name", fmt.Sprintf("%q is not an organisation's name; use 1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit", name)}
}

func checkState(state OrgState) error {
	if state == Active || state == Suspended {
		return nil
	}
	return &InvalidError{"state", fmt.Sprintf("%q is no state; write active or suspended", state)}
}

// models checks an allow-list and gives it sorted, without doubles.
func (t *Tenants) models(models []string) ([]string, error) {
	known := *t.known.Load()
	for _, m := range models {
		if m == "" || known != nil && !slices.Contains(known, m) {
			return nil, &InvalidError{"models", fmt.Sprintf("there is no model %q; `pilotlight model list` names them", m)}
		}
	}
	sorted := append([]string{}, models...)
	slices.Sort(sorted)
	return slices.Compact(sorted), nil
}

// checkModels refuses models that the organisation may not use: such an entry would never have an effect.
func checkModels(org *Org, models []string) error {
	for _, m := range models {
		if !allows(org.Models, m) {
			return &InvalidError{"models", fmt.Sprintf("organisation %s may not use %q; allow it there first", org.Name, m)}
		}
	}
	return nil
}

func defaultScopes() []Scope { return []Scope{ScopeInference, ScopeModelsRead} }

func checkScopes(scopes []Scope) error {
	for _, s := range scopes {
		if !slices.Contains(Scopes(), s) {
			return &InvalidError{"scopes", fmt.Sprintf("there is no scope %q; use some of %v", s, Scopes())}
		}
	}
	return nil
}

const maxName = 128

func checkName(name string) error {
	if forPeople(name, maxName) {
		return nil
	}
	return &InvalidError{"name", fmt.Sprintf("use at most %d characters, none of them a control character", maxName)}
}

func checkKeepalive(mode string) error {
	if slices.Contains([]string{"", "off", "comment", "chunk"}, mode) {
		return nil
	}
	return &InvalidError{"keepalive", fmt.Sprintf("there is no mode %q; use off, comment or chunk", mode)}
}

// forPeople reports whether a text is one line of so many bytes at most.
func forPeople(s string, most int) bool {
	return len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
