package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func TestDev_RefusesAtOnceWhatItsGPUsNeverHold(t *testing.T) {
	s := startDev(t, t.TempDir(), "--config", writeConfig(t, "backend \"local\" {\n  gpus = 4\n}\n"))
	const huge = "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"
	if _, listed := states(t, s.admin(t))[huge]; !listed {
		t.Errorf("the catalogue is served without %s, want it whole", huge)
	}
	a, err := s.chat(t.Context(), huge, true)
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "no_capacity") || a.header.Get("X-Should-Retry") != "false" {
		t.Errorf("got %d %s, x-should-retry %q, want no_capacity, and no retry", a.status, a.body, a.header.Get("X-Should-Retry"))
	}
	_, err = s.admin(t).StartModel(t.Context(), huge, time.Minute)
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.Code != openai.CodeNoCapacity || !strings.Contains(refused.Message, "8 GPUs") {
		t.Errorf("holding it: got %v, want no_capacity, and why", err)
	}
}
