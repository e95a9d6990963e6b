package console

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// chart is a stacked bar for each stretch of time, in the units of an SVG of chartWidth x chartHeight.
type chart struct {
	Title               string
	Width, Height, Base int
	Bars                []bar
	Lines               []gridLine
	Parts               []string // what the colours stand for, in order; the last is "others" where there are more
	Empty               bool
}

type bar struct {
	Key    string // the day, hour or month
	Link   string // to what it is made of; "" = nowhere
	X, W   int
	Parts  []barPart
	Sum    fleet.NanoUSD
	Label  string // under the bar; "" = none
	LabelX int
}

type barPart struct {
	Y, H   int
	Colour int
	Name   string
	Cost   fleet.NanoUSD
}

type gridLine struct {
	Y    int
	Cost fleet.NanoUSD
}

const (
	chartWidth, chartHeight = 960, 260
	chartLeft, chartBottom  = 76, 232
	chartTop                = 12
	chartColours            = 6
	othersName              = "others"
)

// stretch is one bar before it is drawn.
type stretch struct{ Key, Label, Link string }

// chartRow is a cost, whose bar is that of the key, and whose colour that of the name.
type chartRow struct {
	key, name string
	cost      fleet.NanoUSD
}

// costChart draws what each stretch has cost, the dearest names apart. What was credited beyond what was used is drawn as nothing.
func costChart(title string, stretches []stretch, rows []chartRow) chart {
	c := chart{Title: title, Width: chartWidth, Height: chartHeight, Base: chartBottom, Empty: len(rows) == 0}
	byName, byKey := map[string]fleet.NanoUSD{}, map[string]map[string]fleet.NanoUSD{}
	for _, r := range rows {
		byName[r.name] += r.cost
		if byKey[r.key] == nil {
			byKey[r.key] = map[string]fleet.NanoUSD{}
		}
		byKey[r.key][r.name] += r.cost
	}
	c.Parts = slices.SortedFunc(maps.Keys(byName), func(a, b string) int { return cmp.Or(cmp.Compare(byName[b], byName[a]), cmp.Compare(a, b)) })
	if len(c.Parts) > chartColours {
		c.Parts = append(c.Parts[:chartColours-1], othersName)
	}
	var most fleet.NanoUSD
	for _, costs := range byKey {
		most = max(most, sumOf(costs))
	}
	top := roundUp(most)
	for i := range 5 {
		c.Lines = append(c.Lines, gridLine{chartBottom - (chartBottom-chartTop)*i/4, top / 4 * fleet.NanoUSD(i)})
	}
	step := (chartWidth - chartLeft - 8) / max(len(stretches), 1)
	for i, s := range stretches {
		b := bar{Key: s.Key, Link: s.Link, X: chartLeft + i*step + 2, W: max(min(step-4, 48), 1), Sum: sumOf(byKey[s.Key]), Label: s.Label}
		b.LabelX = b.X + b.W/2
		b.stack(c.Parts, byKey[s.Key], top)
		c.Bars = append(c.Bars, b)
	}
	return c
}

// stack draws the parts of a bar, one on the other, where top is at the upper edge.
func (b *bar) stack(names []string, costs map[string]fleet.NanoUSD, top fleet.NanoUSD) {
	shown := map[string]fleet.NanoUSD{}
	for name, cost := range costs {
		if !slices.Contains(names, name) {
			name = othersName
		}
		shown[name] += cost
	}
	y := chartBottom
	for colour, name := range names {
		cost := shown[name]
		if cost <= 0 || top == 0 {
			continue
		}
		h := max(int(fleet.NanoUSD(chartBottom-chartTop)*(cost/1000)/max(top/1000, 1)), 1)
		y -= h
		b.Parts = append(b.Parts, barPart{y, h, colour, name, cost})
	}
}

func sumOf(costs map[string]fleet.NanoUSD) (sum fleet.NanoUSD) {
	for _, cost := range costs {
		sum += max(cost, 0)
	}
	return sum
}

// roundUp gives the next number of the form 1, 2, 4 or 8 x 10^n from there on, so that a quarter of it can be written.
func roundUp(n fleet.NanoUSD) fleet.NanoUSD {
	for unit := fleet.NanoUSD(1000); unit < 1e18; unit *= 10 {
		for _, times := range []fleet.NanoUSD{1, 2, 4, 8} {
			if unit*times >= n {
				return unit * times
			}
		}
	}
	return n
}

// daysOf are the days of a month, each fifth of them labelled.
func daysOf(from, to time.Time, link func(day string) string) (all []stretch) {
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		s := stretch{Key: day.Format(time.DateOnly), Link: link(day.Format(time.DateOnly))}
		if (day.Day()-1)%5 == 0 {
			s.Label = day.Format("02")
		}
		all = append(all, s)
	}
	return all
}

// hoursOf are the hours of a day, each third of them labelled.
func hoursOf(day time.Time) (all []stretch) {
	for h := range 24 {
		at := day.Add(time.Duration(h) * time.Hour)
		s := stretch{Key: at.Format(time.RFC3339)}
		if h%3 == 0 {
			s.Label = at.Format("15:00")
		}
		all = append(all, s)
	}
	return all
}

// chartRows are usage as a chart takes it, by model.
func chartRows(rows []ledger.UsageRow, key func(*ledger.UsageRow) string) []chartRow {
	all := make([]chartRow, len(rows))
	for i := range rows {
		all[i] = chartRow{key(&rows[i]), rows[i].Model, rows[i].Cost}
	}
	return all
}
