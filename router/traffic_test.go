package router

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Each answer and each first token is counted once, in the bucket that the histogram has it in, too.
func TestTraffic_CountsAnswersAndFirstTokens(t *testing.T) {
	m := newMetrics().forModel("m")
	for _, status := range []int{200, 200, 429, 500, 503} {
		m.answered(status)
	}
	for _, d := range []time.Duration{0, 5 * time.Millisecond, 6 * time.Millisecond, 600 * time.Second, time.Hour} {
		m.firstToken(fleet.Hot, d)
	}
	want := Traffic{Model: "m", Answered: 5, Failed: 2, FirstTokens: make([]uint64, len(FirstTokenBounds())+1)}
	want.FirstTokens[0], want.FirstTokens[1], want.FirstTokens[15], want.FirstTokens[16] = 2, 1, 1, 1
	if diff := cmp.Diff(want, m.traffic()); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
	unknown := newMetrics().forModel("")
	unknown.firstToken(fleet.Hot, time.Second)
	if got := unknown.traffic(); got.FirstTokens[8] != 0 {
		t.Errorf("first tokens of no model are counted: %+v", got)
	}
}
