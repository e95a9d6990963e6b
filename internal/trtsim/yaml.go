package trtsim

import (
	"fmt"
	"strings"
)

// readYAML flattens the subset of YAML that engine option files are written in: nested mappings by indentation or in braces, and
// scalars. Keys are joined by dots. Lists are kept as text. Anything else is an error, with its line.
func readYAML(text string) (map[string]string, error) {
	out := map[string]string{}
	type level struct {
		indent int
		prefix string
	}
	stack := []level{{indent: -1}}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(uncomment(line), " \r")
		content := strings.TrimLeft(line, " ")
		if content == "" || content == "---" || strings.HasPrefix(content, "- ") {
			continue
		}
		indent := len(line) - len(content)
		for len(stack) > 1 && stack[len(stack)-1].indent >= indent {
			stack = stack[:len(stack)-1]
		}
		key, value, found := strings.Cut(content, ":")
		if !found || strings.HasPrefix(content, "\t") {
			return nil, fmt.Errorf("line %d: %q is not \"key: value\"", i+1, content)
		}
		name := stack[len(stack)-1].prefix + unquote(key)
		value = strings.TrimSpace(value)
		if value == "" {
			stack = append(stack, level{indent, name + "."})
			continue
		}
		if err := flatten(out, name, value); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return out, nil
}

// flatten stores a scalar, or the members of a mapping in braces.
func flatten(out map[string]string, name, value string) error {
	inner, opens := strings.CutPrefix(value, "{")
	if !opens {
		out[name] = unquote(value)
		return nil
	}
	inner, closes := strings.CutSuffix(inner, "}")
	if !closes {
		return fmt.Errorf("%q is not closed", value)
	}
	for _, member := range splitOutside(inner) {
		if strings.TrimSpace(member) == "" {
			continue
		}
		key, v, found := strings.Cut(member, ":")
		if !found {
			return fmt.Errorf("%q is not \"key: value\"", member)
		}
		if err := flatten(out, name+"."+unquote(key), strings.TrimSpace(v)); err != nil {
			return err
		}
	}
	return nil
}

// splitOutside splits at the commas that stand outside inner brackets.
func splitOutside(s string) []string {
	var parts []string
	depth, from := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, s[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, s[from:])
}

func uncomment(line string) string {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return ""
	}
	before, _, _ := strings.Cut(line, " #")
	return before
}

func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
