package trtsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// FaultKind names one way to fail.
type FaultKind string

// The faults. Those of a request wait until it has After tokens; 0 = before the first one.
const (
	FaultLoad       FaultKind = "load"        // Load fails after Factor of its time (0 = at its end)
	FaultDie        FaultKind = "die"         // the whole engine dies: every connection is cut, the process exits
	FaultCut        FaultKind = "cut"         // this request's connection is cut, the engine lives
	FaultHang       FaultKind = "hang"        // this request makes no further token and keeps its place
	FaultError      FaultKind = "error"       // this request is answered 400
	FaultFatal      FaultKind = "fatal"       // this request is answered with the body null and the engine interrupts itself
	FaultSlow       FaultKind = "slow"        // every iteration takes Factor times as long
	FaultHealth     FaultKind = "health"      // GET /health answers 503
	FaultResume     FaultKind = "resume"      // the next resume fails, and with it the engine's memory for good
	FaultResumeHang FaultKind = "resume_hang" // the next resume never ends

	FaultResumeShort  FaultKind = "resume_short"  // the next resume finds no memory, and the engine stays parked
	FaultReleaseShort FaultKind = "release_short" // the next release frees less than half of the GPU memory, and says that it has freed all
	FaultRelease      FaultKind = "release"       // the next release fails, and with it the engine's memory for good
	FaultReleaseHang  FaultKind = "release_hang"  // the next release never ends
)

// Fault is one injected failure.
type Fault struct {
	Kind   FaultKind `json:"kind"`
	After  int       `json:"after,omitempty"`  // tokens
	Factor float64   `json:"factor,omitempty"` // of slow and load
	Times  int       `json:"times,omitempty"`  // how often it strikes; 0 = until it is replaced
}

func checkFaults(faults []Fault) error {
	for _, f := range faults {
		switch f.Kind {
		case FaultLoad:
			if f.Factor < 0 || f.Factor > 1 {
				return fmt.Errorf("fault load at %v of the load time; it must be between 0 and 1", f.Factor)
			}
		case FaultSlow:
			if !(f.Factor > 0) {
				return fmt.Errorf("fault slow with factor %v; it must be above 0", f.Factor)
			}
		case FaultDie, FaultCut, FaultHang, FaultError, FaultFatal, FaultHealth, FaultResume, FaultResumeHang, FaultResumeShort, FaultReleaseShort, FaultRelease, FaultReleaseHang:
		default:
			return fmt.Errorf("unknown fault %q", f.Kind)
		}
		if f.After < 0 || f.Times < 0 {
			return fmt.Errorf("fault %s with a negative count", f.Kind)
		}
	}
	return nil
}

// ParseFault reads a fault as the command line has it: KIND[:after=N][:factor=F][:times=N], such as hang:after=3:times=1.
func ParseFault(s string) (Fault, error) {
	kind, rest, _ := strings.Cut(s, ":")
	f := Fault{Kind: FaultKind(kind)}
	for rest != "" {
		var field string
		field, rest, _ = strings.Cut(rest, ":")
		name, value, _ := strings.Cut(field, "=")
		var err error
		switch name {
		case "after":
			f.After, err = natural(value)
		case "times":
			f.Times, err = natural(value)
		case "factor":
			f.Factor, err = positive(value)
		default:
			err = fmt.Errorf("%q is not one of after, factor, times", name)
		}
		if err != nil {
			return f, err
		}
	}
	return f, checkFaults([]Fault{f})
}

// take gives the first fault of one of the kinds that still strikes, and counts the strike.
func (e *Engine) take(kinds ...FaultKind) (Fault, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.takeLocked(kinds...)
}

func (e *Engine) takeLocked(kinds ...FaultKind) (Fault, bool) {
	for i, f := range e.faults {
		if !slices.Contains(kinds, f.Kind) {
			continue
		}
		if f.Times == 1 {
			e.faults = slices.Delete(e.faults, i, i+1)
		} else if f.Times > 1 {
			e.faults[i].Times--
		}
		return f, true
	}
	return Fault{}, false
}

// slowed is the factor of an injected slowness.
func (e *Engine) slowed() float64 {
	for _, f := range e.faults {
		if f.Kind == FaultSlow {
			return f.Factor
		}
	}
	return 1
}

// serveFaults shows and replaces the injected faults. The real server has no such route.
func (e *Engine) serveFaults(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Method == http.MethodPost {
		var faults []Fault
		err := json.Unmarshal(body, &faults)
		if err == nil {
			err = e.Inject(faults...)
		}
		if err != nil {
			writeError(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	e.mu.Lock()
	out, _ := json.Marshal(append([]Fault{}, e.faults...))
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
}

// Inject replaces the faults, as POST /sim/faults does. Requests already accepted keep the fault they met.
func (e *Engine) Inject(faults ...Fault) error {
	if err := checkFaults(faults); err != nil {
		return err
	}
	e.mu.Lock()
	e.faults = slices.Clone(faults)
	e.mu.Unlock()
	e.nudge()
	return nil
}
