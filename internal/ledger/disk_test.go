package ledger

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
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

// forgetful is a disk in memory that knows what a power cut leaves: what was fsynced, and any of the rest.
type forgetful struct {
	mu      sync.Mutex
	random  *rand.Rand
	files   map[string]*memory // as processes see them
	removed []string           // in order, since the directory was fsynced
	gone    map[string]*memory // what these were
	off     bool               // after a power cut
	failing int                // fsyncs of the next hundred that fail
}

// memory is a file of a forgetful disk.
type memory struct {
	disk    *forgetful
	data    []byte
	durable []byte
	listed  bool // the directory was fsynced since the file is there
}

var errOff = errors.New("the power is off")

func newForgetful(random *rand.Rand) *forgetful {
	return &forgetful{random: random, files: map[string]*memory{}, gone: map[string]*memory{}}
}

// cutPower gives the disk that there is when the power is back. This one does nothing more.
func (d *forgetful) cutPower() *forgetful {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	next := newForgetful(d.random)
	next.failing = d.failing
	back := len(d.removed) - d.random.IntN(len(d.removed)+1) // names go in the order in which they were removed
	for _, path := range d.removed[back:] {
		d.files[path] = d.gone[path]
	}
	for _, path := range slices.Sorted(maps.Keys(d.files)) { // in one order, so that a seed is one history
		f := d.files[path]
		if !f.listed && d.random.IntN(2) == 0 {
			continue
		}
		f.writeBack()
		next.files[path] = &memory{disk: next, data: bytes.Clone(f.durable), durable: f.durable, listed: true}
	}
	return next
}

// writeBack brings some sectors to the disk, as a kernel does when it likes.
func (f *memory) writeBack() {
	const sector = 512
	f.durable = append(f.durable, make([]byte, len(f.data)-len(f.durable))...)
	for at := 0; at < len(f.data); at += sector {
		end := min(at+sector, len(f.data))
		if f.disk.random.IntN(2) == 0 {
			copy(f.durable[at:end], f.data[at:end])
		}
	}
}

func (d *forgetful) do(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return errOff
	}
	return f()
}

func (d *forgetful) Create(path string, size int64) (file File, err error) {
	err = d.do(func() error {
		f := &memory{disk: d, data: make([]byte, size)}
		d.files[path], file = f, f
		return nil
	})
	return file, err
}

func (d *forgetful) Open(path string) (file File, err error) {
	err = d.do(func() error {
		f, found := d.files[path]
		if !found {
			return fs.ErrNotExist
		}
		file = f
		return nil
	})
	return file, err
}

func (d *forgetful) List(dir string) (names []string, err error) {
	err = d.do(func() error {
		for path := range d.files {
			if filepath.Dir(path) == dir {
				names = append(names, filepath.Base(path))
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

func (d *forgetful) Link(from, to string) error {
	return d.do(func() error { d.files[to] = d.files[from]; return nil })
}

func (d *forgetful) Remove(path string) error {
	return d.do(func() error {
		if f := d.files[path]; f.listed {
			d.gone[path], d.removed = f, append(d.removed, path)
		}
		delete(d.files, path)
		return nil
	})
}

func (d *forgetful) SyncDir(string) error {
	return d.do(func() error {
		for _, f := range d.files {
			f.listed = true
		}
		d.removed, d.gone = nil, map[string]*memory{}
		return nil
	})
}

func (f *memory) ReadAt(b []byte, at int64) (n int, err error) {
	err = f.disk.do(func() error {
		n, err = bytes.NewReader(f.data).ReadAt(b, at)
		return err
	})
	return n, err
}

func (f *memory) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.disk.do(func() error {
		if int(at)+len(b) > len(f.data) {
			return errFull
		}
		n = copy(f.data[at:], b)
		return nil
	})
	return n, err
}

// Sync makes the file durable. Where it fails, some of it may be, and the next one would not know.
func (f *memory) Sync() error {
	return f.disk.do(func() error {
		if f.disk.random.IntN(100) < f.disk.failing {
			f.writeBack()
			return errDisk
		}
		f.durable = bytes.Clone(f.data)
		return nil
	})
}

func (f *memory) Close() error         { return nil }
func (f *memory) Size() (int64, error) { return int64(len(f.data)), nil }
