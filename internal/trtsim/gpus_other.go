//go:build !unix

package trtsim

import "errors"

// account needs file locks that this system does not have.
type account struct{}

func openAccount(string, []string, int) (*account, error) {
	return nil, errors.New("the account of GPU memory needs a Unix system")
}

func (*account) free() (float64, error) { return gpuMemory, nil }
func (*account) set(float64) error      { return nil }
func (*account) close() error           { return nil }
