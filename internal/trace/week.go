package trace

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Extend writes two weeks made of a trace of one week, in which models have a daily profile and rise together, as CSV. The same seed gives the same bytes.
//
//   - The second week has each model's days in an order of its own.
//   - Within a day, arrivals are moved so that they come at the hours of dayProfile, an hour earlier or later for some models; their order stays. On the sixth and seventh day of a week two in five
//     stretches of ten minutes are kept.
//   - Models are paired. Where the first of a pair is called after at least a minute without a request, the second is, with the probability of the pair, soon after, by one request or a few, whose tokens are those of requests of its own.
func Extend(requests []Request, profiles []Profile, seed uint64, w io.Writer) error {
	x := extension{rng: rand.New(rand.NewPCG(seed, 0x5eed)), byModel: make([][]Request, len(profiles))}
	for _, q := range requests {
		if q.At >= 7*day {
			return errors.New("extending a trace: it is longer than a week")
		}
		x.byModel[q.Model] = append(x.byModel[q.Model], q)
	}
	for m := range profiles {
		x.stretch(m)
	}
	x.pair(len(profiles))
	slices.SortStableFunc(x.all, func(a, b Request) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Model, b.Model)) })
	if _, err := fmt.Fprintln(w, header); err != nil {
		return err
	}
	for _, q := range x.all {
		if _, err := fmt.Fprintf(w, "%d,%s,%d,%d\n", q.At.Milliseconds(), profiles[q.Model].Model, q.Input, q.Output); err != nil {
			return err
		}
	}
	return nil
}

const day = 24 * time.Hour

// dayProfile is how busy each hour is.
var dayProfile = [24]float64{.25, .25, .25, .25, .25, .25, .25, .6, 1.2, 2, 2, 2, 1.4, 2, 2, 2, 2, 1.4, .9, .9, .9, .5, .5, .5}

// pairKinds are how likely and how soon the second of a pair follows: a pipeline, an agent's tool, a habit.
var pairKinds = []struct {
	likely float64
	delay  time.Duration // the median
}{{0.95, 3 * time.Second}, {0.7, 6 * time.Second}, {0.4, 10 * time.Second}}

type extension struct {
	rng     *rand.Rand
	byModel [][]Request // of the week
	all     []Request   // of the two weeks
}

// stretch gives a model its two weeks.
func (x *extension) stretch(m int) {
	shift := time.Duration(x.rng.IntN(3)-1) * time.Hour
	days := [14]int{0, 1, 2, 3, 4, 5, 6}
	copy(days[7:], x.rng.Perm(7))
	of := make([][]Request, 7)
	for _, q := range x.byModel[m] {
		of[q.At/day] = append(of[q.At/day], q)
	}
	for d, from := range days {
		kept := [144]bool{}
		for i := range kept {
			kept[i] = d%7 < 5 || x.rng.Float64() < 0.4
		}
		for _, q := range of[from] {
			at := q.At % day
			if kept[at/(10*time.Minute)] {
				q.At = time.Duration(d)*day + (hourOf(at)+shift+day)%day
				x.all = append(x.all, q)
			}
		}
	}
}

// hourOf moves a moment of an even day to that of a day with the profile.
func hourOf(at time.Duration) time.Duration {
	sum := 0.0
	for _, w := range dayProfile {
		sum += w
	}
	left := float64(at) / float64(day) * sum
	for h, w := range dayProfile {
		if left < w {
			return time.Duration((float64(h) + left/w) * float64(time.Hour))
		}
		left -= w
	}
	return day - time.Millisecond
}

// pair has second models follow first ones.
func (x *extension) pair(models int) {
	order := x.rng.Perm(models)
	for i := 0; i+1 < len(order); i += 2 {
		x.follow(order[i], order[i+1], pairKinds[i/2%len(pairKinds)].likely, pairKinds[i/2%len(pairKinds)].delay)
	}
}

func (x *extension) follow(first, second int, likely float64, delay time.Duration) {
	var calls []time.Duration
	for _, q := range x.all {
		if q.Model == first {
			calls = append(calls, q.At)
		}
	}
	slices.Sort(calls)
	last := -day
	for _, at := range calls {
		if rises := at-last >= time.Minute; rises && len(x.byModel[second]) > 0 && x.rng.Float64() < likely {
			at := at + time.Duration(float64(delay)*math.Exp(0.4*x.rng.NormFloat64()))
			for more := true; more && at < 14*day; more = x.rng.Float64() < 0.5 {
				q := x.byModel[second][x.rng.IntN(len(x.byModel[second]))]
				q.At = at
				x.all = append(x.all, q)
				at += time.Duration(x.rng.ExpFloat64() * float64(5*time.Second))
			}
		}
		last = at
	}
}
