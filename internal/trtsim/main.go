package trtsim

import "io"

// Main is the command line of the simulator: `trtsim MODEL --host H --port P …`, that of trtllm-serve. It returns the
// exit status: 0 never (a server ends by a signal or a failure), 1 after a failure, 2 after a wrong command line, 128 + n after signal n.
// It takes over the handling of SIGINT and SIGTERM of the whole process.
func Main(args []string, stdout, stderr io.Writer) int { panic("unfinished") }
