package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// mostGPUs is how many GPUs of one slot are drawn.
const mostGPUs = 16

// gpuCell is one GPU of a slot, or a block of them that one engine has.
type gpuCell struct {
	First, Count int
	Instance     string
	Model        string
	State        fleet.State // "" = free
	Phase        fleet.Phase
	Leases       int
	Reserved     string // the model that the block is kept for
	IdleSince    time.Time
}

// slotCard is one slot, or the GPUs of one node that dedicated instances have. It is comparable, so that an unchanged one is not drawn again.
type slotCard struct {
	ID, Base       string
	Pool           string // "" = dedicated
	Slot, Node     string
	GPUs           int
	Pending        bool
	Condition      fleet.Condition
	Outdated       string
	Cells          [mostGPUs]gpuCell
	Count          int    // of Cells
	Parked         string // model names, one a line
	ParkedCount    int
	ParkedMemory   fleet.Bytes
	MemoryForThose fleet.Bytes
}

func (s slotCard) Blocks() []gpuCell { return s.Cells[:s.Count] }

func (s slotCard) ParkedModels() []string {
	if s.Parked == "" {
		return nil
	}
	return strings.Split(s.Parked, "\n")
}

func (s *slotCard) add(c gpuCell) {
	if s.Count < len(s.Cells) {
		s.Cells[s.Count] = c
		s.Count++
	}
}

func cellOf(i *fleet.InstanceStatus) gpuCell {
	return gpuCell{First: i.GPU, Count: max(i.GPUs, 1), Instance: i.ID, Model: i.Model, State: i.State, Phase: i.Phase, Leases: i.Leases, IdleSince: i.IdleSince.Truncate(time.Second)}
}

func fleetSubject(base string) subject {
	return subject{"slot-card", "slots", func(s *fleet.Snapshot) []part {
		byID := make(map[string]*fleet.InstanceStatus, len(s.Instances))
		dedicated := map[string][]*fleet.InstanceStatus{} // by node
		for i := range s.Instances {
			one := &s.Instances[i]
			byID[one.ID] = one
			if one.Slot == "" {
				dedicated[one.Node] = append(dedicated[one.Node], one)
			}
		}
		takes := map[string]fleet.Bytes{} // host memory of a parked engine, by model
		for i := range s.Models {
			takes[s.Models[i].Model.ID] = s.Models[i].Model.ParkedMemory
		}
		var parts []part
		for _, p := range s.Pools {
			for i := range p.Slots {
				card := slotCardOf(&p.Pool, &p.Slots[i], byID, takes)
				card.Base = base
				parts = append(parts, part{card.ID, "", card})
			}
		}
		for _, node := range slices.Sorted(keys(dedicated)) {
			card := slotCard{ID: elementID("node", node), Base: base, Node: node}
			for _, i := range dedicated[node] {
				card.GPUs += i.GPUs
				card.add(cellOf(i))
			}
			parts = append(parts, part{card.ID, "", card})
		}
		return parts
	}}
}

func keys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func slotCardOf(p *fleet.Pool, s *fleet.SlotStatus, byID map[string]*fleet.InstanceStatus, takes map[string]fleet.Bytes) slotCard {
	card := slotCard{
		ID: elementID("slot", s.ID), Pool: p.Name, Slot: s.ID, Node: s.Node, GPUs: s.GPUs, Pending: s.Pending, Condition: s.Condition, Outdated: s.Outdated,
		MemoryForThose: s.Host,
	}
	if card.MemoryForThose == 0 {
		card.MemoryForThose = p.HostMemory
	}
	for g := 0; g < s.GPUs; g++ {
		id := ""
		if g < len(s.Occupants) {
			id = s.Occupants[g]
		}
		if i := byID[id]; i != nil {
			if i.GPU == g || g == 0 {
				card.add(cellOf(i))
			}
			continue
		}
		cell := gpuCell{First: g, Count: 1}
		for _, r := range s.Reserved {
			if g >= r.GPU && g < r.GPU+r.GPUs {
				cell.Reserved = r.Model
			}
		}
		card.add(cell)
	}
	var parked []string
	for _, id := range s.Sleepers {
		if i := byID[id]; i != nil {
			parked = append(parked, i.Model)
			if i.Spec != nil {
				card.ParkedMemory += i.Spec.ParkedMemory
			} else {
				card.ParkedMemory += takes[i.Model]
			}
		}
	}
	slices.Sort(parked)
	card.Parked, card.ParkedCount = strings.Join(parked, "\n"), len(parked)
	return card
}

func (v *visit) fleet() error {
	live, err := v.liveParts("fleet")
	if err != nil {
		return err
	}
	now := v.hub.look(fresh)
	var waiting []fleet.ModelStatus
	for _, m := range now.Models {
		if m.Waiting > 0 {
			waiting = append(waiting, m)
		}
	}
	var open []fleet.InstanceStatus
	for _, i := range now.Instances {
		if i.Breaker != "" && i.Breaker != "closed" || i.Failure != "" {
			open = append(open, i)
		}
	}
	return v.show(http.StatusOK, "fleet", "Fleet", map[string]any{"Charts": v.plotsOf(""), "Live": live, "Waiting": waiting, "Troubled": open})
}
