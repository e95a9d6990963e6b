package activator

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestLogNotice_AnEstimateIsNotSaidAsMeasured: what a move takes is known where it has ended, and expected where it begins.
func TestLogNotice_AnEstimateIsNotSaidAsMeasured(t *testing.T) {
	for _, row := range []struct {
		from, to fleet.State
		want     string
	}{
		{"", fleet.Starting, "expected_gpu_seconds=8 expected_waited_seconds=2"},
		{fleet.Asleep, fleet.Resuming, "expected_gpu_seconds=8 expected_waited_seconds=2"},
		{fleet.Starting, fleet.Ready, "gpu_seconds=8 waited_seconds=2"},
		{fleet.Starting, fleet.Stopping, "expected_gpu_seconds=8 waited_seconds=2"}, // the waiting is over, the stop is not
		{fleet.Ready, fleet.Parking, "expected_gpu_seconds=8 waited_seconds=2"},
		{fleet.Parking, fleet.Asleep, "gpu_seconds=8 waited_seconds=2"},
		{fleet.Stopping, "", "gpu_seconds=8 waited_seconds=2"},
	} {
		var out bytes.Buffer
		logNotice(slog.New(slog.NewTextHandler(&out, nil)), &fleet.Notice{Model: "m", Instance: "i", From: row.from, To: row.to, Reason: "r", GPUSeconds: 8, Waited: 2 * time.Second})
		if _, said, _ := strings.Cut(strings.TrimSpace(out.String()), "reason=r "); said != row.want {
			t.Errorf("%q to %q: got %s, want %s", row.from, row.to, said, row.want)
		}
	}
	var out bytes.Buffer
	logNotice(slog.New(slog.NewTextHandler(&out, nil)), &fleet.Notice{Model: "m", Instance: "i", From: fleet.Ready, To: fleet.Draining, Reason: "r"})
	if strings.Contains(out.String(), "seconds") {
		t.Errorf("got %s, want nothing of what is not known", &out)
	}
}
