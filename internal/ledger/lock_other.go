//go:build !unix || solaris || illumos || aix

package ledger

import "os"

// lockFile locks nothing where the system has no flock.
func lockFile(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) }
