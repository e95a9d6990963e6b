package sample

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formats are values of the formats that JSON Schema names. %d is a number from 0 to 9, so that not all are the same.
var formats = map[string]string{
	"date-time": "2026-01-0%dT12:00:00Z", "date": "2026-01-0%d", "time": "12:00:0%dZ", "duration": "PT%dS",
	"email": "simulated%d@example.com", "idn-email": "simulated%d@example.com",
	"hostname": "simulated%d.example.com", "idn-hostname": "simulated%d.example.com", "ipv4": "192.0.2.%d", "ipv6": "2001:db8::%d",
	"uri": "https://example.com/simulated/%d", "iri": "https://example.com/simulated/%d",
	"uri-reference": "/simulated/%d", "iri-reference": "/simulated/%d", "uri-template": "/simulated/{%d}",
	"uuid": "00000000-0000-4000-8000-00000000000%d", "json-pointer": "/simulated/%d", "relative-json-pointer": "%d/simulated",
	"regex": "simulated%d",
}

func (w *writer) text(s *object) (any, bool) {
	number := 1 + w.turn%9
	if format, ok := s.get("format").(string); ok && formats[format] != "" {
		return fmt.Sprintf(formats[format], number), true
	}
	least := s.count("minLength", 0)
	if pattern, ok := s.get("pattern").(string); ok {
		text, ok := matching(pattern, least)
		if !ok {
			return w.fail("the pattern %q cannot be followed", pattern)
		}
		return text, true
	}
	text := fmt.Sprintf("simulated text %d", number)
	if most := s.count("maxLength", len(text)); most < len(text) {
		text = strconv.Itoa(number) + text
		text = text[:max(most, 0)]
	}
	for len(text) < least && len(text) < 1<<16 {
		text += " simulated"[:min(least-len(text), len(" simulated"))]
	}
	return text, true
}

// number writes the number next to 7 that the bounds allow.
func (w *writer) number(s *object, whole bool) (any, bool) {
	low, high := math.Inf(-1), math.Inf(1)
	if n, ok := s.number("minimum"); ok {
		low = n
	}
	if n, ok := s.number("maximum"); ok {
		high = n
	}
	step, stepped := s.number("multipleOf")
	if whole && !stepped {
		step, stepped = 1, true
	}
	above, aboveOK := s.number("exclusiveMinimum")
	below, belowOK := s.number("exclusiveMaximum")
	aboveOK, belowOK = aboveOK && above >= low, belowOK && below <= high
	if aboveOK {
		low = above
	}
	if belowOK {
		high = below
	}
	n := min(max(float64(1+w.turn%9), low), high)
	if stepped {
		n = math.Ceil(n/step) * step
		for n > high || belowOK && n >= high {
			n -= step
		}
		for n < low || aboveOK && n <= low {
			n += step
		}
	} else if aboveOK && n <= low || belowOK && n >= high {
		n = between(low, high)
	}
	if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
		return json.Number(strconv.FormatFloat(n, 'f', -1, 64)), true
	}
	return json.Number(strconv.FormatFloat(n, 'g', -1, 64)), true
}

// between gives a number between two that may be infinite.
func between(low, high float64) float64 {
	switch {
	case math.IsInf(low, -1):
		return high - 1
	case math.IsInf(high, 1):
		return low + 1
	}
	return low + (high-low)/2
}

// matching writes a text that a pattern matches, of at least so many characters where the pattern allows it.
func matching(pattern string, least int) (string, bool) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	tree = tree.Simplify()
	for repeat := 1; ; repeat *= 2 {
		var b strings.Builder
		if !follow(&b, tree, repeat) {
			return "", false
		}
		if utf8.RuneCountInString(b.String()) >= least || repeat > least {
			return b.String(), true
		}
	}
}

// follow writes one text of a pattern; what may be repeated is, so many times.
func follow(b *strings.Builder, e *syntax.Regexp, repeat int) bool {
	switch e.Op {
	case syntax.OpLiteral:
		b.WriteString(string(e.Rune))
	case syntax.OpCharClass:
		if len(e.Rune) == 0 {
			return false
		}
		b.WriteRune(visible(e.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('s')
	case syntax.OpStar, syntax.OpPlus:
		for range repeat {
			if !follow(b, e.Sub[0], repeat) {
				return false
			}
		}
	case syntax.OpQuest, syntax.OpCapture:
		return follow(b, e.Sub[0], repeat)
	case syntax.OpAlternate:
		return follow(b, e.Sub[0], repeat)
	case syntax.OpConcat:
		for _, part := range e.Sub {
			if !follow(b, part, repeat) {
				return false
			}
		}
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
	default:
		return false
	}
	return true
}

// visible picks a character of a class: a letter or digit where it has one.
func visible(class []rune) rune {
	for _, want := range "sA0" {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= want && want <= class[i+1] {
				return want
			}
		}
	}
	for i := 0; i+1 < len(class); i += 2 {
		if class[i] > ' ' {
			return class[i]
		}
	}
	return class[0]
}
