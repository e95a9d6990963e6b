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
	var best [5]int
	for n := range h.homed {
		alike := int(h.memory[n] / nodesAlike)
		if h.memory[n]+p.ParkedRAM > h.cfg.HostMemory || ok && alike > best[0] {
			continue
		}
		for g := 0; g+p.GPUs <= h.cfg.GPUsPerNode; g += p.GPUs {
			block := h.homed[n][g : g+p.GPUs]
			most, sum := slices.Max(block), 0
			for _, k := range block {
				sum += k
			}
			rank := [...]int{alike, most, sum, n, g}
			if most < h.cfg.ParkedPerGPU && (!ok || slices.Compare(rank[:], best[:]) < 0) {
				best, ok = rank, true
			}
		}
	}
	return best[3], best[4], ok
}

func (h *homes) enter(p *trace.Profile, node, gpu int) {
	h.memory[node] += p.ParkedRAM
	for g := gpu; g < gpu+p.GPUs; g++ {
		h.homed[node][g]++
	}
}
