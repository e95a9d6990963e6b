package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// asProgram makes the test binary behave as pilotlight, for tests that start it as a process of its own.
const asProgram = "PILOTLIGHT_TEST_AS_PROGRAM"

// TestMain lets the test binary be three things: the tests, the program (as a script's command or by asProgram), and the
// simulated engine, because the program starts its own executable as one, and here that is the test binary.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || len(os.Args) > 1 && os.Args[1] == "trtsim" {
		main()
	}
	testscript.Main(withCluster{m}, map[string]func(){"pilotlight": main})
}

// withCluster ends the cluster that tests have shared, after the last of them.
type withCluster struct{ *testing.M }

func (m withCluster) Run() int {
	storetest.Quick()
	code := m.M.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// notQuick skips a test that starts servers and engines for seconds: the quick tests have others that do.
func notQuick(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers and engines for seconds; not in short runs")
	}
}
