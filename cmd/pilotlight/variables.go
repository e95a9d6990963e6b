package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// readVariables reads a file of lines NAME=value, as entries of an environment. A value may be a JSON string; empty lines and those that begin with # are left out.
func readVariables(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var entries []string
	for n, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !variableName.MatchString(name) {
			return nil, fmt.Errorf("%s:%d: this is no line NAME=value", file, n+1) // never the line: it may be a secret
		}
		if strings.HasPrefix(value, `"`) {
			if err := json.Unmarshal([]byte(value), &value); err != nil {
				return nil, fmt.Errorf("%s:%d: the value of %s begins with a quote and is no JSON string", file, n+1, name)
			}
		}
		entries = append(entries, name+"="+value)
	}
	return entries, nil
}
