// Command trtsim is a simulated trtllm-serve: the same command line and HTTP contract, no GPU. See internal/trtsim.
package main

import (
	"os"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

func main() { os.Exit(trtsim.Main(os.Args[1:], os.Stdout, os.Stderr)) }
