package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// drawSlots draws each slot of a pool: a column a GPU, and a line for everyone who is there, awake, parked or expected.
//
//	slot local-0 on local: 8 GPUs, 4 free; parked engines take 160GiB of 1.5TiB host memory
//	  0 1 2 3 4 5 6 7
//	  # # # # . . . .  ready     meta-llama/Meta-Llama-3-70B-Instruct    2 in flight  a1-1
//	  z z z z . . . .  parked    meta-llama/Meta-Llama-3.1-70B-Instruct               a1-2
func drawSlots(w io.Writer, p *admin.Pool, instances []admin.Instance, now time.Time) error {
	var b strings.Builder
	if len(p.Live) == 0 {
		b.WriteString("\nno slots\n")
	}
	for _, s := range p.Live {
		drawSlot(&b, s, instances, now)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func drawSlot(b *strings.Builder, s admin.Slot, instances []admin.Instance, now time.Time) {
	fmt.Fprintf(b, "\nslot %s", s.ID)
	if s.Node != "" {
		fmt.Fprintf(b, " on %s", s.Node)
	}
	fmt.Fprintf(b, ": %d GPUs", s.GPUs)
	if s.Pending {
		b.WriteString(", on its way\n")
	} else {
		fmt.Fprintf(b, ", %d free; parked engines take %s host memory\n", freeGPUs(s), ofLimit(s.ParkedMemory, s.HostMemory))
	}
	if s.Outdated != "" {
		fmt.Fprintf(b, "  launched with another config (%s): nothing new is started here, and it is given back when nothing here is awake\n", s.Outdated)
	}
	t := newTable(gpuNumbers(s.GPUs), "STATE", "MODEL", "", "INSTANCE")
	for _, o := range sitters(s, instances, now) {
		t.row(o.bar(s.GPUs), o.state, o.model, o.detail, o.instance)
	}
	var text strings.Builder
	_ = t.write(&text) // to memory
	for line := range strings.Lines(text.String()) {
		b.WriteString("  " + line)
	}
}

// ofLimit says how much of a limit is used.
func ofLimit(used, limit string) string {
	if limit == "0B" {
		return used
	}
	return used + " of " + limit
}

// gpuNumbers is the head of the columns.
func gpuNumbers(n int) string {
	numbers := make([]string, n)
	for g := range n {
		numbers[g] = fmt.Sprintf("%-*d", cell(n), g)
	}
	return strings.TrimRight(strings.Join(numbers, " "), " ")
}

// cell is the width of a GPU's column.
func cell(gpus int) int { return len(fmt.Sprint(max(gpus-1, 0))) }

// sitter is one line of the drawing.
type sitter struct {
	mark                           byte
	gpu, gpus                      int
	state, model, detail, instance string
}

// marks are how the GPUs of an instance are drawn, by its state.
var marks = map[fleet.State]byte{
	fleet.Starting: '+', fleet.Resuming: '+', fleet.Ready: '#', fleet.Draining: '~', fleet.Parking: '~', fleet.Asleep: 'z', fleet.Stopping: 'x', fleet.Failed: 'x',
}

// sitters lists who is awake, by GPU, then who is parked, by GPU, then what is reserved, oldest first.
func sitters(s admin.Slot, instances []admin.Instance, now time.Time) []sitter {
	var awake, parked []sitter
	for _, i := range instances {
		if i.Slot != s.ID {
			continue
		}
		line := sitter{mark: marks[i.State], gpu: i.GPU, gpus: i.GPUs, state: string(i.State), model: i.Model, instance: i.ID, detail: doing(i, now)}
		if i.State == fleet.Asleep {
			parked = append(parked, line)
		} else {
			awake = append(awake, line)
		}
	}
	for _, list := range [][]sitter{awake, parked} {
		slices.SortStableFunc(list, func(a, b sitter) int { return a.gpu - b.gpu })
	}
	all := append(awake, parked...)
	for _, r := range s.Reserved {
		all = append(all, sitter{mark: 'r', gpu: r.GPU, gpus: r.GPUs, state: "reserved", model: r.Model, detail: " ", instance: r.Instance})
	}
	return all
}

// doing says of an instance what its state does not.
func doing(i admin.Instance, now time.Time) string {
	switch {
	case i.Leases > 0:
		return fmt.Sprintf("%d in flight", i.Leases)
	case i.IdleSince != nil:
		return "idle " + fleet.FormatDuration(max(now.Sub(i.IdleSince.Time), 0).Round(time.Second))
	case i.State == fleet.Starting:
		return "phase " + string(i.Phase)
	default:
		return " "
	}
}

// bar draws the block of GPUs.
func (o sitter) bar(gpus int) string {
	cells := make([]string, gpus)
	for g := range gpus {
		mark := byte('.')
		if o.gpu <= g && g < o.gpu+o.gpus {
			mark = o.mark
		}
		cells[g] = fmt.Sprintf("%-*c", cell(gpus), mark)
	}
	return strings.TrimRight(strings.Join(cells, " "), " ")
}
