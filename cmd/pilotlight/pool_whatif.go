package main

import (
	"fmt"
	"io"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/whatif"
)

// foretell prints what the settings would have come to.
func (c poolTuneCmd) foretell(env *Env, client *admin.Client, changes map[string]string) error {
	env.say("simulating the last day of %s twice; nothing is changed", c.Name)
	answer, err := client.WhatIf(env.ctx, c.Name, changes)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, answer)
	}
	return writeWhatIf(env.Stdout, answer)
}

func writeWhatIf(w io.Writer, a *admin.WhatIf) error {
	fmt.Fprintf(w, "Simulated over %d requests from %s to %s UTC:\n\n", a.Requests, a.From.Format(time.DateTime), a.To.Format(time.DateTime))
	t := newTable("", ">NOW", ">THEN")
	for _, c := range a.Changes {
		t.row(c.Key, c.Now, c.Then)
	}
	for _, r := range whatIfRows {
		t.row(r.name, r.text(&a.Now), r.text(&a.Then))
	}
	if err := t.write(w); err != nil {
		return err
	}
	for _, said := range [][]string{a.Difference, a.Assumptions} {
		fmt.Fprintln(w)
		for _, s := range said {
			fmt.Fprintln(w, s)
		}
	}
	_, err := fmt.Fprintf(w, "\nWhat these requests really waited: half at most %s, 99 of 100 at most %s.\n", spanOf(a.WaitedP50), spanOf(a.WaitedP99))
	return err
}

var whatIfRows = []struct {
	name string
	text func(*whatif.Outcome) string
}{
	{"GPU-hours held by slots", func(o *whatif.Outcome) string { return gpuHours(o.SlotGPUUS) }},
	{"GPU-hours of awake engines", func(o *whatif.Outcome) string { return gpuHours(o.AwakeGPUUS) }},
	{"GPU-hours that served", func(o *whatif.Outcome) string { return gpuHours(o.BusyGPUUS) }},
	{"cost of the slots, USD", func(o *whatif.Outcome) string { return o.Cost.String() }},
	{"waited at most, half", func(o *whatif.Outcome) string { return spanOf(o.WaitP50) }},
	{"waited at most, 99 of 100", func(o *whatif.Outcome) string { return spanOf(o.WaitP99) }},
	{"cold starts", func(o *whatif.Outcome) string { return fmt.Sprint(o.ColdStarts) }},
	{"resumes", func(o *whatif.Outcome) string { return fmt.Sprint(o.Resumes) }},
}

func gpuHours(us int64) string { return fmt.Sprintf("%.3f", float64(us)/3.6e9) }

// spanOf writes microseconds with about three digits.
func spanOf(us int64) string {
	d := time.Duration(us) * time.Microsecond
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
