package console

import (
	"maps"
	"slices"
	"strings"

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
	Others       bool   // somebody else has it
}

// slotCard is one slot, or the GPUs of one node that dedicated instances have. It is comparable, so that an unchanged one is not drawn again.
type slotCard struct {
	ID, Base       string
	Pool           string // "" = dedicated
	Slot, Node     string
	State, Why     string
	Pending        bool
	Outdated       string
	Cells          [mostGPUs]gpuCell
	Count          int    // of Cells
	More           int    // GPUs that are not drawn
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
		return
	}
	s.More += c.Count
}

// has reports whether the card is looked for: by its place, its state, or a model that is there.
func (s *slotCard) has(find finding) bool {
	if len(find.words) == 0 {
		return true
	}
	texts := []string{s.Pool, s.Slot, s.Node, s.State, s.Parked}
	for _, c := range s.Blocks() {
		texts = append(texts, c.Model, c.Reserved, c.Instance, string(c.State))
	}
	return find.has(texts...)
}

func cellOf(i *fleet.InstanceStatus) gpuCell {
	return gpuCell{First: i.GPU, Count: max(i.GPUs, 1), Instance: i.ID, Model: i.Model, State: i.State, Phase: i.Phase, Leases: i.Leases}
}

// cardsOf gives every slot, and every node where instances are in no slot.
func cardsOf(s *state, base string, find finding) (parts []part) {
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
	add := func(card *slotCard) {
		if card.Base = base; card.has(find) {
			parts = append(parts, part{card.ID, "", *card})
		}
	}
	for _, p := range s.Pools {
		for i := range p.Slots {
			add(slotCardOf(&p.Pool, &p.Slots[i], byID, takes))
		}
	}
	for _, n := range nodesOf(s) {
		if there := dedicated[n.node]; len(there) > 0 || n.Dedicated && n.Slots == 0 {
			add(nodeCardOf(n, there))
			delete(dedicated, n.node)
		}
	}
	for _, node := range slices.Sorted(maps.Keys(dedicated)) {
		add(nodeCardOf(&nodeRow{node: node, Name: node}, dedicated[node]))
	}
	return parts
}

// nodeCardOf draws the GPUs of a node whose instances are in no slot. Which of them an engine has is the back end's to say, so they are drawn in turn.
func nodeCardOf(n *nodeRow, there []*fleet.InstanceStatus) *slotCard {
	card := &slotCard{ID: elementID("node", n.node), Node: n.Name, State: n.State, Why: n.Why}
	first := 0
	for _, i := range there {
		cell := cellOf(i)
		cell.First = first
		first += i.GPUs
		card.add(cell)
	}
	for k := range n.Others + n.Free() {
		card.add(gpuCell{First: first + k, Count: 1, Others: k < n.Others})
	}
	return card
}

func slotCardOf(p *fleet.Pool, s *fleet.SlotStatus, byID map[string]*fleet.InstanceStatus, takes map[string]fleet.Bytes) *slotCard {
	card := &slotCard{
		ID: elementID("slot", s.ID), Pool: p.Name, Slot: s.ID, Node: s.Node, State: stateOfPlace(s.Condition), Pending: s.Pending, Outdated: s.Outdated,
		MemoryForThose: s.Host,
	}
	if s.Pending {
		card.State, card.Why = "pending", string(s.Unplaced)
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
