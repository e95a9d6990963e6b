//go:build race

package activator_test

import "runtime"

// Timers of one synctest bubble that fire on two processors at once use the same race context, which crashes the race
// detector of Go 1.26 (golang.org/issue/78156). It needs no second processor: it shuffles goroutines, and knows what came before what.
func init() { runtime.GOMAXPROCS(1) }
