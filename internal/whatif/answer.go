package whatif

import (
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/simulate"
)

// Answer is what would have been, beside what the same simulation says of the settings as they are. Its times are written by whoever sends it.
type Answer struct {
	Simulated   bool      `json:"simulated"` // always true: none of it was measured but Requests and Waited
	Pool        string    `json:"pool"`
	Began       time.Time `json:"-"` // what is simulated begins
	From        time.Time `json:"-"` // what is scored begins
	To          time.Time `json:"-"`
	Requests    int       `json:"requests"`      // that were recorded from From on
	WaitedP50   int64     `json:"waited_p50_us"` // what half of them really waited at most
	WaitedP99   int64     `json:"waited_p99_us"`
	Changes     []Change  `json:"changes"`
	Now         Outcome   `json:"now"`
	Then        Outcome   `json:"then"`
	Difference  []string  `json:"difference"`
	Assumptions []string  `json:"assumptions"`
}

// Outcome is what a simulation of one setting has come to.
type Outcome struct {
	SlotGPUUS  int64         `json:"slot_gpu_us"`    // microseconds for which slots held GPUs, times those
	AwakeGPUUS int64         `json:"awake_gpu_us"`   // of these, with an awake engine
	BusyGPUUS  int64         `json:"busy_gpu_us"`    // of these, while it served somebody
	Cost       fleet.NanoUSD `json:"cost_nano_usd"`  // of the slots' GPU time, at the price of a GPU-hour
	Awake      fleet.NanoUSD `json:"awake_nano_usd"` // of the awake engines' GPU time, at that price
	WaitP50    int64         `json:"wait_p50_us"`
	WaitP99    int64         `json:"wait_p99_us"`
	ColdStarts int           `json:"cold_starts"`
	Resumes    int           `json:"resumes"`
	Slots      int           `json:"slots_added"`
	Refused    int           `json:"refused"` // requests to models that no slot can hold
}

func outcomeOf(r *simulate.Result, price fleet.NanoUSD) Outcome {
	return Outcome{
		SlotGPUUS: hours(r.SlotHeld), AwakeGPUUS: hours(r.Held), BusyGPUUS: hours(r.Busy), Cost: costOf(r.SlotHeld, price), Awake: costOf(r.Held, price),
		WaitP50: seconds(r.WaitP50), WaitP99: seconds(r.WaitP99), ColdStarts: r.ColdStarts, Resumes: r.Resumes, Slots: r.Slots, Refused: r.Refused,
	}
}

// costOf gives what so many GPU-hours cost.
func costOf(gpuHours float64, price fleet.NanoUSD) fleet.NanoUSD {
	return ledger.Cost(time.Duration(hours(gpuHours))*time.Microsecond, 1, price)
}

func hours(h float64) int64   { return int64(math.Round(h * float64(time.Hour/time.Microsecond))) }
func seconds(s float64) int64 { return int64(math.Round(s * 1e6)) }
