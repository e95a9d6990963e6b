package plan

import (
	"fmt"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func (s *slot) common() *site { return &s.site }

func (s *slot) fits(gpus int) bool { return s.takesLaunches() && s.Outdated == "" && s.GPUs >= gpus }

func (s *slot) free(i *instance) bool {
	return !s.Pending && s.takesLaunches() && !s.taken(i.GPU, i.GPUs) && !s.reservedBefore(i.GPU, i.GPUs, i)
}

func (s *slot) hold(i *instance) {
	for g := i.GPU; g < i.GPU+i.GPUs && g < len(s.awake); g++ {
		s.awake[g] = i
	}
}

func (s *slot) release(i *instance) {
	for g, o := range s.awake {
		if o == i {
			s.awake[g] = s.holder(g)
		}
	}
}

func (s *slot) describe(gpu, n int) string {
	return fmt.Sprintf("%s of slot %s", block(gpu, n), s.ID)
}

func block(gpu, n int) string {
	switch n {
	case 0:
		return "no GPU"
	case 1:
		return fmt.Sprintf("GPU %d", gpu)
	default:
		return fmt.Sprintf("GPUs %d to %d", gpu, gpu+n-1)
	}
}

// holder gives who holds a GPU; nil = nobody. There may be two where an adopted one that is being stopped may have been parked.
func (s *slot) holder(gpu int) *instance {
	for _, o := range s.residents {
		if o.stay == holdsGPU && o.covers(gpu) {
			return o
		}
	}
	return nil
}

// block gives who holds the GPUs of a block; nil for those that are free.
func (s *slot) block(gpu, n int) []*instance {
	return s.awake[min(gpu, len(s.awake)):min(gpu+n, len(s.awake))]
}

// taken reports whether somebody holds a GPU of the block.
func (s *slot) taken(gpu, gpus int) bool {
	return slices.ContainsFunc(s.block(gpu, gpus), func(o *instance) bool { return o != nil })
}

// reservedBefore reports whether a reservation overlaps the block: any, or those before the given one.
func (s *slot) reservedBefore(gpu, gpus int, i *instance) bool {
	return slices.ContainsFunc(s.before(i), func(o *instance) bool { return o.overlaps(gpu, gpus) })
}

// freeAround gives the size of the largest free aligned block that contains this one.
func (s *slot) freeAround(gpu, size int) int {
	for bigger := size * 2; bigger <= s.GPUs; bigger *= 2 {
		from := gpu / bigger * bigger
		if from+bigger > s.GPUs || s.taken(from, bigger) || s.reservedBefore(from, bigger, nil) {
			return bigger / 2
		}
		size = bigger
	}
	return size
}

// livingOn gives the number of instances whose home is on the GPU.
func (s *slot) livingOn(gpu int) int {
	n := 0
	for _, o := range s.residents {
		if o.covers(gpu) {
			n++
		}
	}
	return n
}

// living gives the host memory that all who live in the slot would take if they were parked.
func (s *slot) living() fleet.Bytes {
	var sum fleet.Bytes
	for _, o := range s.residents {
		sum += o.parkedMemory()
	}
	return sum
}

// quiet reports whether nothing there is awake, and nothing is about to be.
func (s *slot) quiet() bool {
	return len(s.reserved) == 0 && !slices.ContainsFunc(s.residents, func(i *instance) bool { return i.stay == holdsGPU })
}

// stuck reports whether the back end has found no room for the slot so far.
func (s *slot) stuck() bool {
	return s.Pending && s.Unplaced == fleet.UnplacedExhausted && s.node == "" && s.takesLaunches()
}

// takesOver reports whether the slot runs, and has what the present config says.
func (s *slot) takesOver() bool { return s.Outdated == "" && !s.Pending && s.takesLaunches() }

// align gives the size of the block that holds so many GPUs. Blocks are those of a buddy layout: one of 2^n GPUs begins at a multiple of 2^n, so that
// two blocks are nested or apart.
func align(gpus int) int {
	size := 1
	for size < gpus {
		size *= 2
	}
	return size
}
