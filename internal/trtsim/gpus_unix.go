//go:build unix

package trtsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is an engine's entry in its host's account of GPU memory: a directory with one file an engine. A file is locked for
// the life of its engine, so that one whose lock can be had belongs to a dead engine and no longer counts.
type account struct {
	dir  string
	gpus []string
	file *os.File
}

// entry is the content of one engine's file.
type entry struct {
	GPUs  []string `json:"gpus"`
	Bytes float64  `json:"bytes"` // on each
	Host  float64  `json:"host"`  // of the machine's memory
}

func openAccount(dir string, visible []string, gpus int) (*account, error) {
	if len(visible) == 0 {
		for i := range gpus {
			visible = append(visible, strconv.Itoa(i))
		}
	}
	if len(visible) < gpus {
		return nil, refuse("RuntimeError: %d GPUs are needed, %d are visible", gpus, len(visible))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the account of GPU memory: %w", err)
	}
	a := &account{dir: dir, gpus: visible[:gpus]}
	err := a.locked(func() (err error) { // or another engine would find the file before it is locked
		if a.file, err = os.CreateTemp(dir, "engine-*.json"); err != nil {
			return err
		}
		return syscall.Flock(int(a.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if err != nil {
		return nil, fmt.Errorf("opening the account of GPU memory: %w", err)
	}
	return a, nil
}

// free is the memory that others leave on the fullest of the engine's GPUs.
func (a *account) free() (bytes float64, err error) {
	err = a.locked(func() error {
		bytes, err = a.freeLocked()
		return err
	})
	return bytes, err
}

// set changes what the engine holds on each of its GPUs, and of the host's memory. It fails, and changes nothing, where that is more than there is.
func (a *account) set(bytes, host float64) error {
	return a.locked(func() error {
		free, err := a.freeLocked()
		if err != nil {
			return err
		}
		if bytes > free {
			return fmt.Errorf("%.1f GB are needed on each GPU, %.1f GB are free", bytes/1e9, free/1e9)
		}
		content, err := json.Marshal(entry{a.gpus, bytes, host})
		if err != nil {
			return err
		}
		if err := a.file.Truncate(0); err != nil {
			return err
		}
		_, err = a.file.WriteAt(content, 0)
		return err
	})
}

// locked runs f while no other engine looks at or changes the account.
func (a *account) locked(f func() error) error {
	lock, err := os.OpenFile(filepath.Join(a.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("locking the account of GPU memory: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("locking the account of GPU memory: %w", err)
	}
	return f()
}

func (a *account) freeLocked() (float64, error) {
	names, err := filepath.Glob(filepath.Join(a.dir, "engine-*.json"))
	if err != nil {
		return 0, err
	}
	used := map[string]float64{} // GPU
	for _, name := range names {
		if name == a.file.Name() {
			continue
		}
		other := read(name)
		for _, gpu := range other.GPUs {
			used[gpu] += other.Bytes
		}
	}
	most := 0.0
	for _, gpu := range a.gpus {
		most = max(most, used[gpu])
	}
	return gpuMemory - most, nil
}

// Usage gives what the engines of a host's account hold of each GPU, and of the host's memory.
func Usage(dir string) (gpus map[string]float64, host float64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "engine-*.json"))
	if err != nil {
		return nil, 0, err
	}
	gpus = map[string]float64{}
	for _, name := range names {
		e := read(name)
		for _, gpu := range e.GPUs {
			gpus[gpu] += e.Bytes
		}
		host += e.Host
	}
	return gpus, host, nil
}

// read gives another engine's entry; a dead engine's is removed and empty.
func read(name string) (e entry) {
	file, err := os.Open(name)
	if err != nil {
		return e
	}
	defer file.Close()
	if syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		_ = os.Remove(name)
		return e
	}
	_ = json.NewDecoder(file).Decode(&e) // an entry not yet written holds nothing
	return e
}

func (a *account) close() error {
	return errors.Join(os.Remove(a.file.Name()), a.file.Close())
}
