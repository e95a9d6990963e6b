package engine

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Sharing is how an engine shares its GPUs with parked ones.
type Sharing struct {
	Key    string      // of the engine's control calls; required
	Parked fleet.Bytes // what others, parked, may come to hold on each of its GPUs
	Memory fleet.Bytes // of each GPU; 0 = that of an H100 of 80 GB
}

const (
	defaultGPUMemory = 79 << 30
	fractionMost     = 0.9 // the engines' own default
	fractionLeast    = 0.2
)

// Shared gives the launch line with what lets the engine be parked, and with a KV cache that leaves room for parked ones. An operator's own
// smaller share stays. A kind without a park protocol is launched as it is.
func (l Launch) Shared(m *fleet.Model, s Sharing) Launch {
	if s.Memory == 0 {
		s.Memory = defaultGPUMemory
	}
	l.Args, l.Env = slices.Clone(l.Args), slices.Clone(l.Env)
	switch Park(m.Engine.Kind) {
	case ParkTRTLLM:
		l.Args = append(l.Args, "--enable_sleep_mode")
		l.Env = append(l.Env, "TRTLLM_RUNTIME_CONTROL_API_KEY="+s.Key)
		l.share(s, "--free_gpu_memory_fraction", s.ofFree(m), "free_gpu_memory_fraction", "kv_cache_free_gpu_memory_fraction")
	case ParkVLLM:
		l.Args = append(l.Args, "--enable-sleep-mode")
		l.Env = append(l.Env, "VLLM_SERVER_DEV_MODE=1")
		l.share(s, "--gpu-memory-utilization", fractionMost-float64(s.Parked)/float64(s.Memory), "gpu_memory_utilization")
	}
	return l
}

// ofFree is the share of the memory that weights and runtime leave which the KV cache may take. What they take is not known before
// the engine runs, but it is about what the engine keeps on the host while it is parked, and rather less.
func (s Sharing) ofFree(m *fleet.Model) float64 {
	taken := s.Memory / 2
	if known := m.ParkedMemory; known > 0 && m.GPUs > 0 {
		taken = known / fleet.Bytes(m.GPUs)
	} else if m.Engine.Memory > 0 && m.GPUs > 0 {
		taken = m.Engine.Memory / fleet.Bytes(m.GPUs)
	}
	left := s.Memory - taken
	if left <= 0 {
		return 0
	}
	return 1 - float64(s.Parked)/float64(left)
}

// share adds the flag, unless nobody shares the GPUs or the operator's own value, under any of the names, is smaller.
func (l *Launch) share(s Sharing, flag string, fraction float64, names ...string) {
	if s.Parked == 0 {
		return
	}
	fraction = min(max(fraction, fractionLeast), fractionMost)
	if own, given := l.number(names); !given || own > fraction {
		l.Args = append(l.Args, flag, strconv.FormatFloat(fraction, 'f', 3, 64)) // the last one counts
	}
}

// number finds the last value given for an option.
func (l *Launch) number(names []string) (value float64, given bool) {
	for i, a := range l.Args {
		option, text, joined := strings.Cut(a, "=")
		if !strings.HasPrefix(option, "-") || !slices.Contains(names, strings.ReplaceAll(strings.TrimLeft(option, "-"), "-", "_")) {
			continue
		}
		if !joined && i+1 < len(l.Args) {
			text = l.Args[i+1]
		}
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			value, given = v, true
		}
	}
	return value, given
}
