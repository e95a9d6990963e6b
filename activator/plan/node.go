package plan

import (
	"fmt"
)

func (n *node) common() *site { return &n.site }

// fits counts what slots that nobody needs would give back.
func (n *node) fits(gpus int) bool {
	return gpus == 0 || n.takesInstances() && n.gpus-n.used+n.reclaimable() >= gpus
}

func (n *node) free(i *instance) bool {
	return i.GPUs == 0 || n.takesLaunches() && n.left(i) >= i.GPUs
}

func (n *node) hold(*instance) {}

func (n *node) release(*instance) {}

func (n *node) describe(_, count int) string {
	if count == 0 {
		return "any machine"
	}
	return fmt.Sprintf("%s of node %s", gpus(count), n.id)
}

// takesInstances reports whether dedicated instances may be placed there.
func (n *node) takesInstances() bool {
	return n.takesLaunches() && (n.seen == nil || !n.seen.SlotsOnly)
}

// unheld gives the GPUs that neither others nor ours hold.
func (n *node) unheld() int { return n.gpus - n.used - n.lived }

// left gives the GPUs that nobody holds, less the reservations before the given one and what is kept for slots since before it (nil = all).
func (n *node) left(before *instance) int {
	left := n.unheld()
	for _, o := range n.before(before) {
		left -= o.GPUs
	}
	for _, s := range n.kept {
		if before == nil || before.reserved != nil && s.room.number < before.reserved.number {
			left -= s.GPUs
		}
	}
	return left
}

// leftFor gives the GPUs that nobody holds, less what was claimed before they were kept for the slot.
func (n *node) leftFor(s *slot) int {
	left := n.unheld()
	for _, o := range n.reserved {
		if o.reserved.number < s.room.number {
			left -= o.GPUs
		}
	}
	for _, t := range n.kept {
		if t.room.number < s.room.number {
			left -= t.GPUs
		}
	}
	return left
}

// leaving gives the GPUs that are given back there whatever happens.
func (n *node) leaving() int {
	sum := 0
	for _, o := range n.residents {
		if o.leaving() {
			sum += o.GPUs
		}
	}
	for _, s := range n.slots {
		if s.givenBack {
			sum += s.GPUs
		}
	}
	return sum
}

// reclaimable gives the GPUs of slots there that could be given back, or are being.
func (n *node) reclaimable() int {
	sum := 0
	for _, s := range n.slots {
		if s.spare() || s.givenBack {
			sum += s.GPUs
		}
	}
	return sum
}

// silent reports whether the back end of the node cannot be reached: it would refuse a launch, which is no fault of the engine.
func (n *node) silent() bool {
	if n.all != nil {
		return n.all.NodesLost()
	}
	return n.seen != nil && n.seen.Silent()
}

// silent reports whether the place is a node whose back end cannot be reached.
func silent(at place) bool {
	n, is := at.(*node)
	return is && n.silent()
}

// spare reports whether nobody needs the slot now, and its pool keeps enough without it.
func (s *slot) spare() bool {
	return s.pool.Slots.Max > 0 && s.takesLaunches() && !s.Pending && s.quiet() && s.pool.open() > s.pool.Slots.Min
}

func gpus(n int) string {
	if n == 1 {
		return "1 GPU"
	}
	return fmt.Sprintf("%d GPUs", n)
}
