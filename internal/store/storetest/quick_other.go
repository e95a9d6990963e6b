//go:build !linux

package storetest

import "flag"

// Quick parses the flags, and no more: where there is memory for files is not known here.
func Quick() { flag.Parse() }

// InMemory does nothing, as there.
func InMemory() {}
