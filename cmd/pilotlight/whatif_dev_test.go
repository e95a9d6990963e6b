package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestWhatIf_AgreesWithWhatDevHeld has the simulation of the requests that dev has served come to what its engines really held: within 10 per cent, for a real
// park or resume varies, and the machine of a test is busy.
func TestWhatIf_AgreesWithWhatDevHeld(t *testing.T) {
	if testing.Short() {
		t.Skip("it serves requests for half a minute")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "dev.hcl")
	const swapped, other = "mistralai/Mixtral-8x22B-Instruct-v0.1", "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"
	text := "backend \"local\" { gpus = 8 }\nautoscaler { policy = \"fixed\" }\n"
	for _, id := range []string{swapped, other, smallModel} {
		text += fmt.Sprintf("model %q { idle_after = \"2s\" }\n", id)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startDev(t, dir, "--sim-speed", "20", "--config", file)
	for i := range 14 {
		s.mustChat(t, []string{swapped, smallModel, other}[i%3], true)
		time.Sleep(time.Duration(i%4) * 700 * time.Millisecond) // longer and shorter than idle_after
	}
	client := s.admin(t)
	answer, err := client.WhatIf(t.Context(), "local", map[string]string{"max_parked_per_gpu": "0"})
	if err != nil {
		t.Fatal(err)
	}
	var metrics strings.Builder
	if err := client.Metrics(t.Context(), &metrics); err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(metrics.String(), `pilotlight_held_gpu_seconds_total{pool="local"} `)
	line, _, _ := strings.Cut(after, "\n")
	held, err := strconv.ParseFloat(line, 64)
	if err != nil {
		t.Fatalf("no GPU time of the pool in the metrics: %v", err)
	}
	simulated := float64(answer.Now.AwakeGPUUS) / 1e6
	t.Logf("simulated %.1f GPU-seconds, held %.1f; %+v", simulated, held, answer.Now)
	if off := simulated/held - 1; math.Abs(off) > 0.1 {
		t.Errorf("simulated %.1f GPU-seconds, really held were %.1f: off by %.0f %%", simulated, held, 100*off)
	}
	if answer.Requests != 14 || answer.Now.ColdStarts != 3 || answer.Now.Resumes == 0 {
		t.Errorf("got %d requests, %d cold starts and %d resumes, want 14, 3 and some", answer.Requests, answer.Now.ColdStarts, answer.Now.Resumes)
	}
	if answer.Then.Resumes != 0 || answer.Then.ColdStarts <= answer.Now.ColdStarts || answer.Then.WaitP99 <= answer.Now.WaitP99 {
		t.Errorf("with nothing parked got %+v, want more cold starts and longer waits than %+v", answer.Then, answer.Now)
	}
}
