package main

import (
	"slices"
	"testing"
)

func TestFuzzTargets_AreThoseOfAllPackages(t *testing.T) {
	all, err := fuzzTargets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []fuzzTarget{{of: "internal/openai", name: "FuzzInspect"}, {of: "internal/tenant", name: "FuzzCheckSecret"}, {of: "activator/plan", name: "FuzzMessages"}} {
		if !slices.Contains(all, want) {
			t.Errorf("got %v, want %v among them", all, want)
		}
	}
	if m := fuzzProgress.FindStringSubmatch("fuzz: elapsed: 40s, execs: 22803 (766/sec), new interesting: 240 (total: 256)"); len(m) != 3 || m[1] != "22803" || m[2] != "256" {
		t.Errorf("got %q, want the inputs and those that are kept", m)
	}
}

func TestTimeIsUp_IsNoInputThatFails(t *testing.T) {
	const end = "--- FAIL: FuzzX (10.21s)\n    context deadline exceeded\nFAIL\n"
	for out, want := range map[string]bool{
		"fuzz: elapsed: 10s\n" + end: true,
		"--- FAIL: FuzzX (3.1s)\n    --- FAIL: FuzzX (0.00s)\n        x_test.go:7: got 1, want 2\n    \n    Failing input written to testdata/fuzz/FuzzX/ab\n": false,
		end + "    Failing input written to testdata/fuzz/FuzzX/ab\n":                                                                                          false,
		"x_test.go:7: undefined: y\nFAIL\n": false,
	} {
		if got := timeIsUp([]byte(out)); got != want {
			t.Errorf("%q: got %t, want %t", out, got, want)
		}
	}
}
