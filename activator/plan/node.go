package plan

import (
	"fmt"
)

func (n *node) common() *site { return &n.site }

// fits counts what slots that nobody needs would give back.
func (n *node) fits(gpus int) bool {
	return gpus == 0 || n.takesLaunches() && n.gpus-n.used+n.reclaimable() >= gpus
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

// left gives the GPUs that neither others nor ours hold, less the reservations before the given one (nil = all).
func (n *node) left(before *instance) int {
	left := n.gpus - n.used
	for _, o := range n.residents {
		left -= o.GPUs
	}
	for _, o := range n.before(before) {
		left -= o.GPUs
	}
	return left
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
