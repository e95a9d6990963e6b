package whatif

import (
	"fmt"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// explain says what differs, and what the answer takes for granted.
func (a *Answer) explain(q *Question, past *recording, moves []fleet.Learned) {
	a.Difference = a.difference(q)
	a.Assumptions = []string{
		"Both columns are simulated, with the planner, the dispatcher and the policy of this server, over the same requests: nothing was tried on the fleet.",
		"The requests are those that an engine has worked on. Who was refused, or left while waiting, is not among them; nobody in the simulation gives up.",
		"A request takes an engine as long as it took then, whatever else that engine would have served.",
		"A start, a resume or a park takes what one of the last of that model has taken" + missing(q, past, moves) + ".",
		"A GPU-hour costs price.gpu_hour_usd of the config, the price that callers are billed at; it may not be what you pay for it.",
	}
	if !q.Now.Always {
		a.Assumptions = append(a.Assumptions, fmt.Sprintf("A slot is there %s after it was asked for: there are always nodes enough. Dedicated models and other pools are left out.", fleet.FormatDuration(slotStart)))
	}
	switch {
	case past.cut:
		a.Assumptions = append(a.Assumptions, fmt.Sprintf("The day had more requests than are simulated at once: only the latest %d are.", len(past.arrivals)))
	case !a.Began.Before(a.From):
		a.Assumptions = append(a.Assumptions, "Nothing is recorded of the day before, so both begin with nothing parked and a policy that has learned nothing.")
	default:
		a.Assumptions = append(a.Assumptions, "Both begin with nothing parked and a policy that has learned nothing, and live through what is recorded of the day before without its being counted.")
	}
}

// missing says of how many of the models that were asked for moves were not measured, and what they take then.
func missing(q *Question, past *recording, moves []fleet.Learned) string {
	asked := map[uint32]bool{}
	for i := range past.arrivals {
		asked[past.arrivals[i].model] = true
	}
	measured := map[string]map[fleet.Tier]bool{}
	for _, l := range moves {
		if len(l.Durations) > 0 {
			if measured[l.Model] == nil {
				measured[l.Model] = map[fleet.Tier]bool{}
			}
			measured[l.Model][l.From] = true
		}
	}
	count := func(from fleet.Tier) (n int) {
		for i, m := range q.Now.Models {
			if asked[uint32(i)] && !measured[m.ID][from] {
				n++
			}
		}
		return n
	}
	var parts []string
	for _, one := range []struct {
		from  fleet.Tier
		name  string
		takes time.Duration
	}{{fleet.Cold, "starts", usual.Cold}, {fleet.Parked, "resumes", usual.Wake}, {fleet.Hot, "parks", usual.Park}} {
		if n := count(one.from); n > 0 {
			parts = append(parts, fmt.Sprintf("%s of %d of %d models were never measured, and take %s", one.name, n, len(asked), fleet.FormatDuration(one.takes)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "; " + strings.Join(parts, "; ")
}

// difference says in words how the second outcome differs from the first.
func (a *Answer) difference(q *Question) (said []string) {
	now, then := &a.Now, &a.Then
	switch {
	case q.Now.Always:
		said = append(said, "This machine's GPUs are there in any case, so what they cost stays the same. "+
			compare("Engines would be awake for ", now.AwakeGPUUS, then.AwakeGPUUS, gpuHours)+".")
	case now.Cost == then.Cost:
		said = append(said, "It would cost the same, "+dollars(now.Cost)+".")
	default:
		word, by := "less", now.Cost-then.Cost
		if by < 0 {
			word, by = "more", -by
		}
		said = append(said, fmt.Sprintf("It would cost %s %s: %s.", dollars(by), word, compare("slots would hold GPUs for ", now.SlotGPUUS, then.SlotGPUUS, gpuHours)))
	}
	said = append(
		said,
		compare("Of 100 requests, 99 would wait ", now.WaitP99, then.WaitP99, atMost)+", and half of them "+compare("", now.WaitP50, then.WaitP50, atMost)+".",
		fmt.Sprintf("There would be %s, and %s.", compareCounts(now.ColdStarts, then.ColdStarts, "cold start", "cold starts"), compareCounts(now.Resumes, then.Resumes, "resume", "resumes")),
	)
	if then.Refused > now.Refused {
		said = append(said, fmt.Sprintf("%d requests would be refused, because no slot could hold their models.", then.Refused))
	}
	return said
}

func compare(what string, now, then int64, text func(int64) string) string {
	if text(now) == text(then) {
		return what + text(then) + ", as now"
	}
	return what + text(then) + " instead of " + text(now)
}

func compareCounts(now, then int, one, many string) string {
	name := many
	if then == 1 {
		name = one
	}
	if now == then {
		return fmt.Sprintf("%d %s, as now", then, name)
	}
	return fmt.Sprintf("%d %s instead of %d", then, name, now)
}

func gpuHours(us int64) string { return fmt.Sprintf("%.2f GPU-hours", float64(us)/3.6e9) }

func atMost(us int64) string {
	switch d := time.Duration(us) * time.Microsecond; {
	case d < time.Millisecond:
		return "less than a millisecond"
	case d < time.Second:
		return fmt.Sprintf("at most %d ms", d.Milliseconds())
	default:
		return fmt.Sprintf("at most %.1f s", d.Seconds())
	}
}

// dollars rounds to cents, half up.
func dollars(n fleet.NanoUSD) string {
	cents := (n + 5_000_000) / 10_000_000
	return fmt.Sprintf("$%d.%02d", cents/100, cents%100)
}
