package audit

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const (
	mostText    = 2 << 10 // bytes of one text
	mostMembers = 500     // of one object, or of one list
)

// secrets are what no entry may hold: tokens of organisations, bearer credentials, and whatever stands before the @ of a URL. Only a text that holds the mark is
// searched: the searches are what an entry costs.
var secrets = []struct {
	mark string
	of   *regexp.Regexp
	to   string
}{
	{"pl_", regexp.MustCompile(`pl_[0-9A-Za-z]{20,}`), "pl_[redacted]"},
	{" ", regexp.MustCompile(`(?i)(bearer|basic)\s+[^\s",;]{8,}`), "$1 [redacted]"},
	{"://", regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://)[^\s/?#"'@]+@`), "$1[redacted]@"},
	{"=", regexp.MustCompile(`(?i)((?:password|passwd|secret|token|api_?key)\s*=\s*)("[^"]*"|'[^']*'|[^\s"',;&]+)`), "$1[redacted]"},
}

// text makes a text one line that both stores take, without secrets, and bounded.
func text(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	for _, secret := range secrets {
		if strings.Contains(s, secret.mark) {
			s = secret.of.ReplaceAllString(s, secret.to)
		}
	}
	if len(s) > mostText {
		s = strings.ToValidUTF8(s[:mostText], "") + "…"
	}
	return s
}

// clean makes a value what may be kept of it: what JSON makes of it, its texts as text has them, its objects and lists bounded.
func clean(v any) any {
	switch v := v.(type) {
	case string:
		return text(v)
	case []any:
		kept := []any{}
		for i, one := range v {
			if i == mostMembers {
				kept = append(kept, more(len(v)))
				break
			}
			kept = append(kept, clean(one))
		}
		return kept
	case map[string]any:
		kept := map[string]any{}
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i == mostMembers {
				kept["…"] = more(len(v))
				break
			}
			kept[text(name)] = clean(v[name])
		}
		return kept
	}
	return v
}

func more(all int) string { return fmt.Sprintf("and %d more", all-mostMembers) }

// object gives what JSON makes of a value.
func object(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing an audit entry: %w", err)
	}
	return parsed(b), nil
}

// differing leaves of two objects the members that differ.
func differing(before, after any) (any, any) {
	was, of := before.(map[string]any)
	is, both := after.(map[string]any)
	if !of || !both {
		return before, after
	}
	for name, value := range is {
		if old, there := was[name]; there && reflect.DeepEqual(old, value) {
			delete(was, name)
			delete(is, name)
		}
	}
	return was, is
}
