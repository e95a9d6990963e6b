package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// topView draws a state. It asks nobody.
type topView struct {
	state         *topState
	err           error // why there is no newer one; nil = there is
	width, height int   // 0 = no bound
	colour        bool
	skipped       int // models above the first that is shown
}

// The colours of states, as SGR parameters. They say nothing that the words beside them do not.
var stateColours = map[string]string{"hot": "32", "starting": "33", "parked": "34", "cold": "2"}

const (
	bold   = "1"
	alarm  = "31"
	hidden = "…"
)

// all draws the whole state.
func (v topView) all() []string {
	lines := append(v.head(), "")
	lines = append(lines, v.gpus()...)
	if moves := v.moves(); len(moves) > 0 {
		lines = append(append(lines, ""), moves...)
	}
	if queue := v.queue(); len(queue) > 0 {
		lines = append(append(lines, ""), queue...)
	}
	return append(append(lines, ""), v.models()...)
}

// screen draws what fits: what is above the models is cut first to half of the height, then models are.
func (v topView) screen() []string {
	head := v.head()
	for _, part := range [][]string{v.gpus(), v.moves(), v.queue()} {
		if len(part) > 0 {
			head = append(append(head, ""), some(part, max(v.height/5, 2))...)
		}
	}
	head = append(head[:min(len(head), max(v.height-4, 1))], "")
	models := v.models()
	room := max(v.height-len(head)-2, 1) // the titles, and the last line
	first := min(v.skipped, max(len(models)-1-room, 0))
	body := models[1+first:]
	lines := append(append(head, models[0]), body[:min(len(body), room)]...)
	for len(lines) < v.height-1 {
		lines = append(lines, "")
	}
	last := "q quits"
	if hiding := len(models) - 1 - room; hiding > 0 {
		last = fmt.Sprintf("q quits; arrows scroll: %d to %d of %d models", first+1, first+min(len(body), room), len(models)-1)
	}
	lines = append(lines[:min(len(lines), v.height-1)], v.paint("2", last))
	for i, l := range lines {
		lines[i] = cut(l, v.width)
	}
	return lines
}

// some cuts a part to so many lines.
func some(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	return append(slices.Clone(lines[:most-1]), fmt.Sprintf("%s %d more", hidden, len(lines)-most+1))
}

func (v *topView) scroll(k key) {
	page := max(v.height/2, 1)
	switch k {
	case keyUp:
		v.skipped--
	case keyDown:
		v.skipped++
	case keyPageUp:
		v.skipped -= page
	case keyPageDown:
		v.skipped += page
	case keyTop:
		v.skipped = 0
	}
	v.skipped = min(max(v.skipped, 0), max(len(v.state.Models)-1, 0))
}

func (v topView) head() []string {
	counts, waiting, inflight := map[string]int{}, 0, 0
	for _, m := range v.state.Models {
		counts[m.State]++
		waiting += m.Waiting
		inflight += m.Inflight
	}
	state := "ready"
	if v.state.Ready != "" {
		state = v.paint(alarm, v.state.Ready)
	}
	lines := []string{
		v.paint(bold, "pilotlight "+v.state.Server) + "  " + state + "  " + v.state.At.UTC().Format("15:04:05") + " UTC",
		fmt.Sprintf("%s: %d hot, %d starting, %d parked, %d cold; %d waiting, %d in flight",
			plural(len(v.state.Models), "model"), counts["hot"], counts["starting"], counts["parked"], counts["cold"], waiting, inflight),
	}
	if v.err != nil {
		lines[0] = v.paint(alarm, "no news since "+v.state.At.UTC().Format("15:04:05")+" UTC: "+said(v.err))
	}
	return lines
}

// gpus draws each slot of each pool: # = an awake engine, + = kept for one that is to come, . = free.
func (v topView) gpus() []string {
	t := newTable("POOL", ">AWAKE", ">RESERVED", ">FREE", ">GPUS", ">PARKED", "SLOTS  # awake  + reserved  . free  ? on its way")
	for _, p := range v.state.Pools {
		n := countPool(p, v.state.Instances)
		var slots []string
		awake, reserved, free := 0, 0, 0
		for _, s := range p.Live {
			drawn := slotBar(s)
			awake += strings.Count(drawn, "#")
			reserved += strings.Count(drawn, "+")
			free += strings.Count(drawn, ".")
			slots = append(slots, drawn)
		}
		t.row(p.Name, awake, reserved, free, n.gpus, n.parked, strings.Join(slots, " "))
	}
	if held := dedicatedGPUs(v.state.Instances); held > 0 {
		t.row("(no pool)", held, "", "", "", "", "")
	}
	return v.titled(t)
}

func slotBar(s admin.Slot) string {
	bar := []byte(strings.Repeat(".", s.GPUs))
	for _, r := range s.Reserved {
		for g := r.GPU; g < r.GPU+r.GPUs && g < len(bar); g++ {
			bar[g] = '+'
		}
	}
	for g, o := range s.Occupants {
		if o != "" && g < len(bar) {
			bar[g] = '#'
		}
	}
	if s.Pending {
		return strings.Repeat("?", s.GPUs)
	}
	return string(bar)
}

// dedicatedGPUs are those of instances outside of pools.
func dedicatedGPUs(instances []admin.Instance) int {
	held := 0
	for _, i := range instances {
		if i.Slot == "" {
			held += i.GPUs
		}
	}
	return held
}

// moves are the activations that go on.
func (v topView) moves() []string {
	if len(v.state.Activations) == 0 {
		return nil
	}
	t := newTable("STARTING", "FROM", "PHASE", ">SINCE", ">LEFT")
	for _, a := range v.state.Activations {
		phase, left := "", ""
		if n := len(a.Phases); n > 0 {
			phase = string(a.Phases[n-1].Phase)
		}
		for _, m := range v.state.Models {
			if m.ID == a.Model && m.Outlook.ETAUS != nil {
				left = "~" + brief(time.Duration(*m.Outlook.ETAUS)*time.Microsecond)
			}
		}
		t.row(a.Model, a.From, phase, brief(v.state.At.Sub(a.BeganAt.Time)), left)
	}
	return v.titled(t)
}

// queue says who waits: a line for each model and organisation.
func (v topView) queue() []string {
	type waits struct {
		model, org string
		n          int
		since      time.Time
	}
	var all []*waits
	for _, w := range v.state.Queue.Waiting {
		i := slices.IndexFunc(all, func(o *waits) bool { return o.model == w.Model && o.org == w.Org })
		if i < 0 {
			i, all = len(all), append(all, &waits{model: w.Model, org: w.Org, since: w.Since.Time})
		}
		all[i].n++
		if w.Since.Before(all[i].since) {
			all[i].since = w.Since.Time
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b *waits) int { return a.since.Compare(b.since) })
	t := newTable("WAITING FOR", "ORG", ">REQUESTS", ">LONGEST", "WHY")
	for _, w := range all {
		why := ""
		for _, m := range v.state.Models {
			if m.ID == w.model {
				why = strings.TrimSuffix(string(m.Outlook.Answer)+": "+m.Outlook.Reason, ": ")
			}
		}
		t.row(w.model, w.org, w.n, brief(v.state.At.Sub(w.since)), why)
	}
	lines := v.titled(t)
	if left := v.state.Queue.Total - len(v.state.Queue.Waiting); left > 0 {
		lines = append(lines, hidden+" "+plural(left, "more request"))
	}
	return lines
}

// models lists those first for which something happens.
func (v topView) models() []string {
	rank := map[string]int{"starting": 0, "hot": 1, "parked": 2, "cold": 3}
	sorted := slices.Clone(v.state.Models)
	slices.SortStableFunc(sorted, func(a, b admin.Model) int {
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(rank[a.State], rank[b.State]), cmp.Compare(b.Inflight, a.Inflight), cmp.Compare(a.ID, b.ID))
	})
	t := newTable("MODEL", "STATE", ">GPUS", ">HOT", ">STARTING", ">PARKED", ">WAITING", ">INFLIGHT", "WHY")
	for _, m := range sorted {
		t.row(m.ID, m.State, m.GPUs, zero(m.Hot), zero(m.Starting), zero(m.Parked), zero(m.Waiting), zero(m.Inflight), m.Desired.Reason)
	}
	lines := v.titled(t)
	for i, m := range sorted {
		lines[i+1] = v.paint(stateColours[m.State], lines[i+1])
	}
	return lines
}

// zero is blank for none, so that what there is stands out.
func zero(n int) string {
	if n == 0 {
		return " "
	}
	return strconv.Itoa(n)
}

// brief is a span as short as people say it.
func brief(d time.Duration) string {
	d = max(d, 0)
	if d < 10*time.Second {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return fleet.FormatDuration(d.Round(time.Second))
}

// titled gives a table's lines.
func (v topView) titled(t *table) []string {
	var text strings.Builder
	_ = t.write(&text) // to memory
	lines := strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	lines[0] = v.paint(bold, lines[0])
	return lines
}

// paint gives text a colour, where there are any.
func (v topView) paint(sgr, text string) string {
	if !v.colour || sgr == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// cut cuts a line to a width, of which colours take nothing.
func cut(line string, width int) string {
	seen, escape := 0, false
	for i, r := range line {
		switch {
		case escape:
			escape = r != 'm'
		case r == '\x1b':
			escape = true
		case seen == width:
			if strings.Contains(line, "\x1b[") {
				return line[:i] + "\x1b[0m"
			}
			return line[:i]
		default:
			seen++
		}
	}
	return line
}

func writeLines(w io.Writer, lines []string) error {
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}
