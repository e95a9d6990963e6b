package config

import (
	"bytes"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// damage is what was left out of a file because it is not HCL, so that the rest can be checked: single lines, or a whole block where a line has a brace too
// many or too few. What it leads to elsewhere is no mistake of its own, and excuses says which those may be.
type damage struct {
	lines   [][]byte
	left    map[int]bool // lines that were left out, from 0
	shared  bool         // a block is damaged with which others are compared: backend or pool
	unknown bool         // which back end it is was left out
	touched []span       // the damaged blocks
}

// span is lines from first to last, from 0.
type span struct{ first, last int }

// understood parses src without what is not HCL, and reports that. parsed is nil where nothing of it can be understood.
func (r *reader) understood(src []byte) (parsed *hcl.File, d *damage) {
	d = &damage{lines: bytes.Split(src, []byte("\n")), left: map[int]bool{}}
	for {
		file, problems := hclsyntax.ParseConfig(bytes.Join(d.lines, []byte("\n")), r.file, hcl.InitialPos)
		i := slices.IndexFunc(problems, breaks)
		if i < 0 {
			r.diagnostics(problems)
			return file, d
		}
		line := 0
		if at := problems[i].Subject; at != nil {
			line = min(max(at.Start.Line-1, 0), len(d.lines)-1)
		}
		follows := d.follows(line)
		if !follows {
			r.diagnostics(problems[i : i+1])
		}
		if !d.leaveOut(line, follows) {
			return nil, d
		}
	}
}

// breaks reports whether the parser has not understood what is there: an attribute written twice is a mistake, but the rest of the file is still what it seems.
func breaks(p *hcl.Diagnostic) bool {
	return p.Severity == hcl.DiagError && p.Summary != "Attribute redefined"
}

// within reports whether a line is in a damaged block.
func (d *damage) within(line int) bool {
	return slices.ContainsFunc(d.touched, func(s span) bool { return s.first <= line && line <= s.last })
}

// follows reports whether what the parser says of a line may well come of what was left out: beside it, or at the head of its block, which then does not end.
func (d *damage) follows(line int) bool {
	return d.within(line) && (d.left[line-1] || d.left[line] || d.left[line+1] || slices.ContainsFunc(d.touched, func(s span) bool { return s.first == line }))
}

// leaveOut takes a line out, or all of the block around it. false = it is out already.
func (d *damage) leaveOut(line int, all bool) bool {
	block := d.blockAround(line)
	d.touched = append(d.touched, block)
	kind, _, _ := bytes.Cut(d.lines[block.first], []byte(" "))
	d.shared = d.shared || string(kind) == "backend" || string(kind) == "pool"
	out := span{line, line}
	if all || line == block.first || unbalanced(d.lines[line]) {
		out = block
	}
	d.unknown = d.unknown || string(kind) == "backend" && out.first == block.first
	fresh := false
	for i := out.first; i <= out.last; i++ {
		fresh = fresh || !d.left[i]
		d.left[i], d.lines[i] = true, nil
	}
	return fresh
}

// unbalanced reports whether a line opens or closes a block or a list that it does not close or open.
func unbalanced(line []byte) bool {
	return bytes.Count(line, []byte("{")) != bytes.Count(line, []byte("}")) || bytes.Count(line, []byte("[")) != bytes.Count(line, []byte("]"))
}

// blockAround gives the block of the file around a line, as it is indented: from a name at the begin of a line to the brace at the begin of a line.
func (d *damage) blockAround(line int) span {
	begins := func(i int) bool {
		return len(d.lines[i]) > 0 && (d.lines[i][0] >= 'a' && d.lines[i][0] <= 'z' || d.lines[i][0] == '_')
	}
	first := line
	for first > 0 && !begins(first) {
		first--
	}
	last := first
	for last+1 < len(d.lines) && !begins(last+1) {
		if last++; last >= line && bytes.HasPrefix(d.lines[last], []byte("}")) {
			break
		}
	}
	return span{first, max(last, line)}
}

// excuses reports whether a mistake may come of the damage: that something is missing in a damaged block is said at the head of a block, and that something does not
// fit a damaged backend or pool at what is compared with them.
func (d *damage) excuses(m Mistake, src []byte) bool {
	if len(d.touched) == 0 {
		return false
	}
	lines := strings.Split(string(src), "\n")
	text := strings.TrimSpace(lines[min(m.Line, len(lines))-1])
	head := strings.Contains(text, "{")
	if d.within(m.Line-1) && head {
		return true
	}
	name, _, _ := strings.Cut(text, " ")
	return d.shared && slices.Contains([]string{"model", "pool", "gpus", "min", "max"}, name) || d.unknown && (head || name == "weights")
}
