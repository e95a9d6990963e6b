package slot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Gauge reads what memory is in use on the machine, by whomever. Its functions may be called at the same time.
type Gauge struct {
	GPUs func(ctx context.Context) (map[string]fleet.Bytes, error) // GPU, by each name that a device may have -> memory in use
	Host func() (fleet.Bytes, error)                               // of the machine's memory

	Simulated bool // it is that of simulated engines, which hold no real one; others are not looked at, and a gauge of real memory does not look at simulated ones
}

// MachineGauge reads with nvidia-smi, which must be in PATH, and from /proc/meminfo; nil = there is no nvidia-smi, and nothing is read.
func MachineGauge() *Gauge {
	smi, err := exec.LookPath("nvidia-smi")
	if err != nil {
		return nil
	}
	return &Gauge{
		GPUs: func(ctx context.Context) (map[string]fleet.Bytes, error) {
			out, err := exec.CommandContext(ctx, smi, "--query-gpu=index,uuid,memory.used", "--format=csv,noheader,nounits").Output()
			if err != nil {
				return nil, fmt.Errorf("asking nvidia-smi: %w", err)
			}
			return parseGPUs(string(out))
		},
		Host: func() (fleet.Bytes, error) {
			text, err := os.ReadFile("/proc/meminfo")
			if err != nil {
				return 0, err
			}
			return parseHost(string(text))
		},
	}
}

// parseGPUs reads lines of index, UUID and MiB in use.
func parseGPUs(text string) (map[string]fleet.Bytes, error) {
	used := make(map[string]fleet.Bytes)
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), ", ")
		if len(fields) != 3 {
			return nil, fmt.Errorf("nvidia-smi says %q, not an index, a UUID and a number", line)
		}
		mib, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("nvidia-smi says that GPU %s uses %q", fields[0], fields[2])
		}
		used[fields[0]], used[fields[1]] = fleet.Bytes(mib)<<20, fleet.Bytes(mib)<<20
	}
	return used, nil
}

// parseHost reads what is not available of the machine's memory.
func parseHost(text string) (fleet.Bytes, error) {
	kib := make(map[string]uint64)
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 3 && f[2] == "kB" {
			kib[f[0]], _ = strconv.ParseUint(f[1], 10, 53)
		}
	}
	total, left := kib["MemTotal:"], kib["MemAvailable:"]
	if left == 0 || left > total {
		return 0, errors.New("/proc/meminfo does not say what is available")
	}
	return fleet.Bytes(total-left) << 10, nil
}

// gaugeWithin bounds one reading.
const gaugeWithin = 5 * time.Second

// gauge gives the gauge that tells of the engine; nil = there is none.
func (e *process) gauge() *Gauge {
	g := e.slot.cfg.Gauge
	if g == nil || e.i.GPUs == 0 || g.Simulated != (e.i.model.Engine.Kind == fleet.EngineSim) {
		return nil
	}
	return g
}

// readGPUs gives what is in use of the engine's GPUs; nil = that cannot be read.
func (e *process) readGPUs(ctx context.Context) []fleet.Bytes {
	g := e.gauge()
	if g == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, gaugeWithin)
	defer cancel()
	all, err := g.GPUs(ctx)
	if err != nil {
		e.slot.cfg.Log.Warn("GPU memory cannot be read", "instance", e.i.ID, "reason", err)
		return nil
	}
	var used []fleet.Bytes
	for _, device := range e.slot.devices(e.i) {
		v, ok := all[device]
		if !ok {
			return nil
		}
		used = append(used, v)
	}
	return used
}

// checkFreed compares what was in use of the GPUs from one on before a park and after. Where too little was freed whoever is started or resumed there would find no memory, and might not survive that. A
// second engine beside a first was seen to free half of what it held (llm-d fast-model-actuation #746), one whose weights another process holds hardly anything.
func checkFreed(gpu int, before, after []fleet.Bytes) error {
	for n := range after {
		if freed := max(before[n]-after[n], 0); freed <= before[n]/2 && before[n] > 0 {
			return fmt.Errorf("%w: %s of the %s in use of GPU %d", errTooLittleFreed, freed, before[n], gpu+n)
		}
	}
	return nil
}

var errTooLittleFreed = errors.New("it has freed too little GPU memory")

// readHost gives what is in use of the machine's memory, with a mark that stays the same as long as no engine of the slot moves but this one; false = that cannot be read, or another moves now.
func (e *process) readHost() (used fleet.Bytes, mark uint64, ok bool) {
	g := e.gauge()
	if g == nil {
		return 0, 0, false
	}
	if mark, ok = e.slot.calmBut(e.i); !ok {
		return 0, 0, false
	}
	used, err := g.Host()
	return used, mark, err == nil
}

// calmBut reports whether no other engine of the slot starts, parks, resumes or ends, with the number of acts so far.
func (s *Slot) calmBut(self *instance) (acts uint64, calm bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.instances {
		if i != self && i.State != fleet.Ready && i.State != fleet.Asleep {
			return 0, false
		}
	}
	return s.acted, true
}

// seeCopy learns from what a resume has freed of the machine's memory what becomes of the engine's copy there. It is told by less than half of what a parked one takes.
func (e *process) seeCopy(before fleet.Bytes, mark uint64) {
	after, now, ok := e.readHost()
	takes := e.i.model.ParkedMemory
	if !ok || now != mark || takes == 0 {
		return
	}
	is := fleet.CopyFreed
	if before-after < takes/2 {
		is = fleet.CopyKept
	}
	e.slot.markCopy(e.i, is)
}
