//go:build !unix

package trtsim

import "errors"

// account needs file locks that this system does not have.
type account struct{ gpus []string }

func openAccount(string, []string, int) (*account, error) {
	return nil, errors.New("the account of GPU memory needs a Unix system")
}

func (*account) free() (float64, error) { return gpuMemory, nil }
func (*account) set(_, _ float64) error { return nil }
func (*account) close() error           { return nil }

// Usage gives nothing: there is no account.
func Usage(string) (map[string]float64, float64, error) {
	return nil, 0, errors.New("the account of GPU memory needs a Unix system")
}
