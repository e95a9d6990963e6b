package simulate

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// homes counts the engines that are parked on each GPU at the start.
type homes struct {
	cfg    *Config
	homed  [][]int       // by node and GPU
	memory []fleet.Bytes // by node
}

func newHomes(cfg *Config) *homes {
	h := &homes{cfg: cfg, memory: make([]fleet.Bytes, cfg.Nodes)}
	for range cfg.Nodes {
		h.homed = append(h.homed, make([]int, cfg.GPUsPerNode))
	}
	return h
}

// nodesAlike is a difference in memory that does not make a node the better one.
const nodesAlike fleet.Bytes = 250e9

// roomiest gives the block with the least memory and the fewest engines; false = none has room.
func (h *homes) roomiest(p *trace.Profile) (node, gpu int, ok bool) {
	var best []int
	for n := range h.homed {
		if h.memory[n]+p.ParkedRAM > h.cfg.HostMemory {
			continue
		}
		for g := 0; g+p.GPUs <= h.cfg.GPUsPerNode; g += p.GPUs {
			block := h.homed[n][g : g+p.GPUs]
			most, sum := slices.Max(block), 0
			for _, k := range block {
				sum += k
			}
			rank := []int{int(h.memory[n] / nodesAlike), most, sum, n, g}
			if most < h.cfg.ParkedPerGPU && (best == nil || slices.Compare(rank, best) < 0) {
				best = rank
			}
		}
	}
	if best == nil {
		return 0, 0, false
	}
	return best[3], best[4], true
}

func (h *homes) enter(p *trace.Profile, node, gpu int) {
	h.memory[node] += p.ParkedRAM
	for g := gpu; g < gpu+p.GPUs; g++ {
		h.homed[node][g]++
	}
}
