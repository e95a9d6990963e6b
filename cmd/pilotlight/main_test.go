package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// asProgram makes the test binary behave as pilotlight, for tests that start it as a process of its own.
const asProgram = "PILOTLIGHT_TEST_AS_PROGRAM"

// TestMain lets the test binary be three things: the tests, the program (as a script's command or by asProgram), and the
// simulated engine, because the program starts its own executable as one, and here that is the test binary.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || len(os.Args) > 1 && os.Args[1] == "trtsim" {
		main()
	}
	testscript.Main(m, map[string]func(){"pilotlight": main})
}
