package ledger

import (
	"math/rand/v2"
	"sync"
	"syscall"

	"github.com/pilotlight-io/pilotlight/internal/faultsim"
)

// faulty is this machine's disk, until it is told to fail.
type faulty struct {
	Machine

	mu     sync.Mutex
	create error // what the next calls fail with
	write  error // of which each then writes a half
	sync   error
}

// fail has all calls of some kinds fail, or work again.
func (d *faulty) fail(create, write, sync error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.create, d.write, d.sync = create, write, sync
}

func (d *faulty) failure(of *error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return *of
}

func (d *faulty) Create(path string, size int64) (File, error) {
	if err := d.failure(&d.create); err != nil {
		return nil, err
	}
	f, err := d.Machine.Create(path, size)
	return faultyFile{f, d}, err
}

type faultyFile struct {
	File
	disk *faulty
}

func (f faultyFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.disk.failure(&f.disk.write); err != nil {
		n, _ := f.File.WriteAt(b[:len(b)/2], at)
		return n, err
	}
	return f.File.WriteAt(b, at)
}

func (f faultyFile) Sync() error {
	if err := f.disk.failure(&f.disk.sync); err != nil {
		return err
	}
	return f.File.Sync()
}

var (
	errDisk = syscall.EIO
	errFull = syscall.ENOSPC
)

// forgetful is a disk in memory that knows what a power cut leaves.
type forgetful struct{ *faultsim.Disk }

func newForgetful(random *rand.Rand) forgetful { return forgetful{faultsim.NewDisk(random)} }

// cutPower gives the disk that there is when the power is back. This one does nothing more.
func (d forgetful) cutPower() forgetful { return forgetful{d.CutPower()} }

func (d forgetful) Create(path string, size int64) (File, error) {
	f, err := d.Disk.Create(path, size)
	return f, err
}

func (d forgetful) Open(path string) (File, error) {
	f, err := d.Disk.Open(path)
	return f, err
}
