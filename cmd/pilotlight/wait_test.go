package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestModelStart_EndsWhereTheHoldIsOverFirst: a model that never came to be started is not waited for without end.
func TestModelStart_EndsWhereTheHoldIsOverFirst(t *testing.T) {
	const large = "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8" // all GPUs
	s := startDev(t, t.TempDir(), "--sim-speed", "1000")
	ask := func(args ...string) (code int, talk string) {
		var stderr strings.Builder
		env := quietEnv()
		env.Stderr = &stderr
		env.Getenv = func(name string) string { return map[string]string{addrVariable: s.Admin}[name] }
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		code = run(ctx, append(args, "--data-dir", s.DataDir), env)
		return code, stderr.String()
	}
	if code, talk := ask("model", "start", greeted, "--wait", "--for", "1h"); code != 0 || !strings.Contains(talk, "s  hot\n") {
		t.Fatalf("got %d, %s", code, talk)
	}
	if code, talk := ask("model", "start", large, "--wait", "--for", "200ms"); code != 2 || !strings.Contains(talk, "held hot for 200ms, and these are over") {
		t.Errorf("got %d, %s, want 2, and that the hold was over first", code, talk)
	}
	if code, talk := ask("model", "start", large, "--for", "0s"); code != 1 || !strings.Contains(talk, "--for must be longer than 0s") {
		t.Errorf("got %d, %s, want that a hold of no time is refused", code, talk)
	}
}
