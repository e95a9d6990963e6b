package mutants_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/mutants"
)

const root = "../.."

// TestMutants_AFewAreCaught runs two of the tree's mutants, chosen by a seed that it prints. MUTANTS=all runs all, MUTANTS=NAME one, and
// MUTANTS_SEED=N chooses the same two again.
func TestMutants_AFewAreCaught(t *testing.T) {
	all, err := mutants.Find(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("there are none")
	}
	for _, m := range choose(t, all) {
		t.Run(m.Name, func(t *testing.T) {
			if err := m.Run(t.Context(), root); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMutants_AllApply: whoever changes what a patch breaks has to mend the patch, whichever are run.
func TestMutants_AllApply(t *testing.T) {
	all, err := mutants.Find(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if err := m.Check(root); err != nil {
			t.Errorf("%s: %v", m.Path, err)
		}
	}
}

// TestMutants_AreFoundByFaults has the simulated faults look for the mutants of the core, and writes into the file of PILOTLIGHT_FAULTS_MUTANTS how long that
// took: `just hunt`, or `MUTANTS=NAME,NAME just hunt` for some, where what the file says of others stays. Each mutant has a test of its own all the same, which
// the suite runs.
func TestMutants_AreFoundByFaults(t *testing.T) {
	path := os.Getenv("PILOTLIGHT_FAULTS_MUTANTS")
	if path == "" {
		return
	}
	all, err := mutants.Find(root)
	if err != nil {
		t.Fatal(err)
	}
	found, err := mutants.ReadHunts(path)
	if err != nil {
		t.Fatal(err)
	}
	some := strings.Split(os.Getenv("MUTANTS"), ",")
	for _, m := range all {
		pkg, is := worldOf(m)
		if !is || some[0] != "all" && !slices.Contains(some, m.Name) {
			continue
		}
		delete(found, m.Name)
		h, err := m.Hunt(t.Context(), root, pkg)
		switch {
		case err == nil:
			t.Logf("%+v", *h)
			found[m.Name] = h
		case errors.Is(err, mutants.ErrSurvived) && m.Test != "TestFaults":
			t.Logf("%s: only its own test notices", m.Name)
		default:
			t.Errorf("%s: %v", m.Name, err)
		}
		if err := found.Write(path); err != nil {
			t.Fatal(err)
		}
	}
}

// worldOf gives the package in whose simulated world a mutant lives; false = in none.
func worldOf(m *mutants.Mutant) (pkg string, is bool) {
	switch room := strings.Split(m.Path, "/testdata/")[0]; room {
	case "activator/plan", "activator/dispatch", "activator/roster":
		return "./activator/plan", true
	case "internal/slot", "internal/ledger", "internal/quota", "internal/shares", "internal/joined":
		return "./" + room, true
	default:
		return "", false
	}
}

func choose(t *testing.T, all []*mutants.Mutant) []*mutants.Mutant {
	switch name := os.Getenv("MUTANTS"); {
	case name == "all":
		return all
	case name != "":
		for _, m := range all {
			if m.Name == name {
				return []*mutants.Mutant{m}
			}
		}
		t.Fatalf("there is no mutant %q", name)
	case testing.Short():
		t.Skip("builds code twice over")
	}
	seed := rand.Uint64N(1_000_000)
	if s := os.Getenv("MUTANTS_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("MUTANTS_SEED=%d chooses of %d", seed, len(all))
	r := rand.New(rand.NewPCG(seed, 0))
	r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all[:min(2, len(all))]
}

// TestRun_SaysWhatBecameOfAMutant tries the harness on a module of one rule.
func TestRun_SaysWhatBecameOfAMutant(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/rule\n\ngo 1.26\n")
	write(t, dir, "rule.go", "package rule\n\n// Most is a limit.\nfunc Most(n int) int {\n\tif n > 3 {\n\t\treturn 3\n\t}\n\treturn n\n}\n")
	write(t, dir, "rule_test.go", `package rule

import "testing"

func TestMost(t *testing.T) {
	t.Run("above", func(t *testing.T) {
		if Most(4) != 3 {
			t.Error("above")
		}
	})
	t.Run("below", func(t *testing.T) {
		if Most(1) != 1 {
			t.Error("below")
		}
	})
}
`)
	const above = "-\tif n > 3 {\n+\tif n > 4 {\n"
	for _, row := range []struct{ name, test, change, want string }{
		{"caught", "TestMost", above, ""},
		{"caught by a part", "TestMost/above", above, ""},
		{"survived", "TestMost/below", above, "nobody noticed"},
		{"with context", "TestMost", " func Most(n int) int {\n-\tif n > 3 {\n+\tif false {\n \t\treturn 3\n", ""},
		{"no such lines", "TestMost", "-\tif n > 9 {\n+\tif n > 4 {\n", "no longer applies"},
		{"half a line", "TestMost", "- n > 3 {\n+ n > 4 {\n", "no longer applies"},
		{"does not compile", "TestMost", "-\tif n > 3 {\n+\tif m > 3 {\n", "undefined: m"},
		{"no such test", "TestLeast", above, "no test TestLeast"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m, err := mutants.Parse("x.patch", "Rule: a limit\nTest: . "+row.test+"\n--- a/rule.go\n+++ b/rule.go\n@@\n"+row.change)
			if err != nil {
				t.Fatal(err)
			}
			err = m.Run(t.Context(), dir)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got %v, want %q", err, row.want)
			}
			if errors.Is(err, mutants.ErrSurvived) != (row.name == "survived") {
				t.Errorf("got %v; only a mutant that nobody notices has survived", err)
			}
		})
	}
}

func TestParse_RefusesWhatIsNoMutant(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"Rule: a\nTest: . TestA\n", "--- a/FILE"},
		{"Rule: a\n--- a/f\n@@\n-x\n+y\n", "must say"},
		{"Rules: a\n--- a/f\n@@\n-x\n+y\n", "no Rule, Test or Env"},
		{"Rule: a\nTest: . TestA\n--- a/f\n-x\n+y\n", "before the first @@"},
		{"Rule: a\nTest: . TestA\n--- a/f\n@@\n x\n", "nothing new"},
		{"Rule: a\nTest: . TestA\n--- a/f\n@@\n+y\n", "no old lines"},
		{"Rule: a\nTest: . TestA\n--- a/f\n", "changes nothing"},
		{"Rule: a\nTest: . TestA\n--- a/f\n@@\n-x\n+y\nz\n", "begins with none"},
	} {
		if _, err := mutants.Parse("x.patch", row.text); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: got %v, want %q", row.text, err, row.want)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
