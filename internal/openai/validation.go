package openai

import (
	"regexp"
	"strings"
)

// complaint matches one of the complaints of pydantic that trtllm-serve lists, each on a line of its own and as Python prints it:
// where it is, and in one kind of quotes or the other what is wrong there.
var complaint = regexp.MustCompile(`(?m)^\s*\{'type': '[^']*', 'loc': \(([^)]*)\), 'msg': (?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")`)

// validation says in words what an engine's validation has found: without Python's quotes, and without the value, which may be long. param is the field
// of the first complaint. What is no list of complaints gives "".
func validation(text string) (message, param string) {
	var said []string
	for _, m := range complaint.FindAllStringSubmatch(text, -1) {
		at := fieldPath(m[1])
		if len(said) == 0 {
			param = at
		}
		words := m[2] + m[3]
		if at != "" {
			words = at + ": " + words
		}
		said = append(said, words)
	}
	return strings.Join(said, "; "), param
}

var fieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// fieldPath turns 'body', 'messages', 0, 'role' into messages[0].role. Names of types, which pydantic puts among them where several are possible, end it.
func fieldPath(loc string) string {
	var path strings.Builder
	for _, step := range strings.Split(loc, ",") {
		step = strings.TrimSpace(step)
		name := strings.Trim(step, "'")
		switch {
		case step == "" || step == "'body'" && path.Len() == 0:
		case name == step && strings.Trim(step, "0123456789") == "":
			path.WriteString("[" + step + "]")
		case !fieldName.MatchString(name):
			return path.String()
		default:
			if path.Len() > 0 {
				path.WriteByte('.')
			}
			path.WriteString(name)
		}
	}
	return path.String()
}
