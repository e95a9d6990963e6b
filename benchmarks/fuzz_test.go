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
}

func TestProgress_IsWhatWasSaidLast(t *testing.T) {
	const kept = "fuzz: elapsed: 3s, gathering baseline coverage: 94/674 completed\n"
	for out, want := range map[string][2]int{
		kept: {94, 674},
		kept + "fuzz: elapsed: 40s, execs: 22803 (766/sec), new interesting: 240 (total: 256)\nPASS\n": {22803, 256},
	} {
		if inputs, kept, said := progress([]byte(out)); !said || inputs != want[0] || kept != want[1] {
			t.Errorf("%q: got %d, %d, %t, want %v", out, inputs, kept, said, want)
		}
	}
	if _, _, said := progress([]byte("PASS\n")); said {
		t.Error("a run that said nothing has said something")
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
