// Package nomadjobs holds the Nomad job files that Pilotlight submits, as an operator may run them by hand.
//
// It promises that each file is complete: every variable has a default, so that `nomad job run` takes it as it is, and that
// what Pilotlight submits is that file with other defaults. It never talks to Nomad.
package nomadjobs

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The job files, by name.
const (
	Dedicated    = "dedicated.nomad.hcl"     // one engine with GPUs of its own, in docker
	DedicatedRaw = "dedicated-raw.nomad.hcl" // the same through raw_exec
	Slot         = "slot.nomad.hcl"          // a pool's slot: the supervisor of engines that share GPUs
	Pilotlight   = "pilotlight.nomad.hcl"    // Pilotlight itself

	Servers = "pilotlight-servers.nomad.hcl" // several servers of it
)

// Files holds the job files, under models/ values for the published models, and under policies/ the ACL policies that Pilotlight needs.
//
//go:embed *.nomad.hcl models/*.hcl policies/*.hcl
var Files embed.FS

// ErrVariable is returned for a value that a job file has no variable for.
var ErrVariable = errors.New("the job file has no such variable")

// Values are values of a job file's variables: string, int, bool, []string or map[string]string, taken literally.
type Values map[string]any

// Render gives the text of a job file with the values as defaults of its variables. Every other default stays.
func Render(name string, values Values) (string, error) {
	text, err := fs.ReadFile(Files, name)
	if err != nil {
		return "", fmt.Errorf("rendering a job: %w", err)
	}
	out := string(text)
	for _, variable := range slices.Sorted(maps.Keys(values)) {
		literal, err := literal(values[variable])
		if err != nil {
			return "", fmt.Errorf("rendering %s of %s: %w", variable, name, err)
		}
		at := regexp.MustCompile(`(?m)^variable "` + regexp.QuoteMeta(variable) + `" \{\n(?:  .*\n)*?  default +=`).FindStringIndex(out)
		if at == nil {
			return "", fmt.Errorf("rendering %s of %s: %w", variable, name, ErrVariable)
		}
		_, rest, _ := strings.Cut(out[at[1]:], "\n}\n")
		out = out[:at[1]] + " " + literal + "\n}\n" + rest
	}
	return out, nil
}

// literal writes a value as HCL.
func literal(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return quote(v), nil
	case int:
		return strconv.Itoa(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case []string:
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = quote(s)
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case map[string]string:
		parts := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, quote(key)+" = "+quote(v[key]))
		}
		return "{ " + strings.Join(parts, ", ") + " }", nil
	}
	return "", fmt.Errorf("a %T has no form in a job file", value)
}

// quote writes a string as HCL does: what opens a template is doubled, for a value is not one.
func quote(s string) string {
	s = strings.NewReplacer("${", "$${", "%{", "%%{").Replace(s)
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
