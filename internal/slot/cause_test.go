//go:build linux

package slot_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestCause_OfAnEngineThatEnds(t *testing.T) {
	lost := fake("lost", 1, "says=cannot_go_on")
	lost.Engine.Weights = "/no/such/weights"
	absent := fake("absent", 1)
	absent.Engine.Command = []string{"/no/such/program"}
	w := start(t, options{gpus: 1},
		fake("crash", 1, "says=Segmentation_fault"), fake("gpu", 1, "crash"), lost, absent,
		fake("hub", 1, "says=OSError:_acme/m_does_not_appear_to_have_a_file_named_config.json"),
		fake("device", 1, "says=RuntimeError:_No_CUDA-capable_device_is_detected"))
	for model, row := range map[string]struct {
		cause fleet.Cause
		says  string
	}{
		"crash":  {fleet.CauseEngine, "exit status 1"},
		"gpu":    {fleet.CauseMemory, "exit status 3"},
		"lost":   {fleet.CauseWeights, "exit status 1"},
		"hub":    {fleet.CauseWeights, "config.json"},
		"device": {fleet.CausePlace, "CUDA-capable"},
		"absent": {fleet.CausePlace, "/no/such/program"},
	} {
		w.launch("of-"+model, model, 0, 1)
		i, _ := w.until("of-"+model, gone)
		if i.Cause != row.cause || !strings.Contains(i.Failure, row.says) {
			t.Errorf("%s: got cause %q of %q, want %q, with %q", model, i.Cause, i.Failure, row.cause, row.says)
		}
	}
}

func TestCause_OfAnEngineThatSomebodyKills(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1))
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
	syscall.Kill(recordedPID(t, filepath.Join(w.dir, "engines", "i1.pid")), syscall.SIGKILL)
	i, _ := w.until("i1", gone)
	if i.Cause != fleet.CausePlace && i.Cause != "" { // "" where a want of memory cannot be ruled out
		t.Errorf("got cause %q, want the place", i.Cause)
	}
	for _, want := range []string{"while it was serving", "signal: killed, not by its supervisor", "for want of memory"} {
		if !strings.Contains(i.Failure, want) {
			t.Errorf("failure %q lacks %q", i.Failure, want)
		}
	}
}

func TestCause_OfAnEngineThatHangs(t *testing.T) {
	w := start(t, options{gpus: 1, health: engine.HealthRule{Every: 20 * time.Millisecond, Within: 100 * time.Millisecond}}, fake("m", 1))
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
	syscall.Kill(recordedPID(t, filepath.Join(w.dir, "engines", "i1.pid")), syscall.SIGSTOP)
	stopped := time.Now()
	i, at := w.until("i1", gone)
	if i.Cause != fleet.CauseEngine || !strings.Contains(i.Failure, "engine hangs: no sign of health 3 times in a row") {
		t.Errorf("got cause %q of %q, want the engine, that hangs", i.Cause, i.Failure)
	}
	if took := at.Sub(stopped); took > 5*time.Second {
		t.Errorf("took %v, want about 400 ms", took)
	}
}
