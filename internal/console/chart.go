package console

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// chart is a stacked bar for each day, in the units of an SVG of chartWidth x chartHeight.
type chart struct {
	Width, Height, Base int
	Bars                []bar
	Lines               []gridLine
	Models              []string // of the colours, in order; the last is "others" where there are more
	Empty               bool
}

type bar struct {
	Day    string
	X, W   int
	Parts  []barPart
	Sum    fleet.NanoUSD
	Label  string // under the bar; "" = none
	LabelX int
}

type barPart struct {
	Y, H   int
	Colour int
	Model  string
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

// dailyChart draws what each day from one moment to another has cost, by model.
func dailyChart(rows []ledger.UsageRow, from, to time.Time) chart {
	c := chart{Width: chartWidth, Height: chartHeight, Base: chartBottom, Empty: len(rows) == 0}
	byModel := map[string]fleet.NanoUSD{}
	byDay := map[string]map[string]fleet.NanoUSD{}
	for _, r := range rows {
		byModel[r.Model] += r.Cost
		if byDay[r.Day] == nil {
			byDay[r.Day] = map[string]fleet.NanoUSD{}
		}
		byDay[r.Day][r.Model] += r.Cost
	}
	c.Models = slices.SortedFunc(maps.Keys(byModel), func(a, b string) int { return cmp.Or(cmp.Compare(byModel[b], byModel[a]), cmp.Compare(a, b)) })
	if len(c.Models) > chartColours {
		c.Models = append(c.Models[:chartColours-1], othersName)
	}
	var most fleet.NanoUSD
	for _, models := range byDay {
		most = max(most, sumOf(models))
	}
	top := roundUp(most)
	for i := range 5 {
		c.Lines = append(c.Lines, gridLine{chartBottom - (chartBottom-chartTop)*i/4, top / 4 * fleet.NanoUSD(i)})
	}
	days := int(to.Sub(from).Hours() / 24)
	step := (chartWidth - chartLeft - 8) / max(days, 1)
	for i := range days {
		day := from.AddDate(0, 0, i).Format(time.DateOnly)
		b := bar{Day: day, X: chartLeft + i*step + 2, W: max(step-4, 1), Sum: sumOf(byDay[day])}
		if i%5 == 0 {
			b.Label, b.LabelX = day[8:], b.X+b.W/2
		}
		y := chartBottom
		shown := map[string]fleet.NanoUSD{}
		for model, cost := range byDay[day] {
			if !slices.Contains(c.Models, model) {
				model = othersName
			}
			shown[model] += cost
		}
		for colour, model := range c.Models {
			cost := shown[model]
			if cost <= 0 || top == 0 {
				continue
			}
			h := max(int(fleet.NanoUSD(chartBottom-chartTop)*(cost/1000)/max(top/1000, 1)), 1)
			y -= h
			b.Parts = append(b.Parts, barPart{y, h, colour, model, cost})
		}
		c.Bars = append(c.Bars, b)
	}
	return c
}

func sumOf(models map[string]fleet.NanoUSD) (sum fleet.NanoUSD) {
	for _, cost := range models {
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
