package faultsim

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

// Disk is a disk in memory that knows what a power cut leaves: what was fsynced, and any of the rest.
type Disk struct {
	Random  *rand.Rand // used under mu
	Failing int        // fsyncs of the next hundred that fail

	mu      sync.Mutex       // guards what follows
	full    bool             // no file can be made
	files   map[string]*File // as processes see them
	removed []string         // in order, since the directory was fsynced
	gone    map[string]*File // what these were
	off     bool             // after a power cut
}

// File is a file of a Disk.
type File struct {
	disk    *Disk
	data    []byte
	durable []byte
	listed  bool // the directory was fsynced since the file is there
}

// ErrOff says that the power is off.
var ErrOff = errors.New("the power is off")

// NewDisk makes an empty disk, for which random decides what a power cut leaves and which fsyncs fail.
func NewDisk(random *rand.Rand) *Disk {
	return &Disk{Random: random, files: map[string]*File{}, gone: map[string]*File{}}
}

// CutPower gives the disk that there is when the power is back. This one does nothing more.
func (d *Disk) CutPower() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	next := NewDisk(d.Random)
	next.Failing, next.full = d.Failing, d.full
	back := len(d.removed) - d.Random.IntN(len(d.removed)+1) // names go in the order in which they were removed
	for _, path := range d.removed[back:] {
		d.files[path] = d.gone[path]
	}
	for _, path := range slices.Sorted(maps.Keys(d.files)) { // in one order, so that a seed is one history
		f := d.files[path]
		if !f.listed && d.Random.IntN(2) == 0 {
			continue
		}
		f.writeBack()
		next.files[path] = &File{disk: next, data: bytes.Clone(f.durable), durable: f.durable, listed: true}
	}
	return next
}

// writeBack brings some sectors to the disk, as a kernel does when it likes.
func (f *File) writeBack() {
	const sector = 512
	f.durable = append(f.durable, make([]byte, len(f.data)-len(f.durable))...)
	for at := 0; at < len(f.data); at += sector {
		end := min(at+sector, len(f.data))
		if f.disk.Random.IntN(2) == 0 {
			copy(f.durable[at:end], f.data[at:end])
		}
	}
}

// SetFull has no file be made, or be made again.
func (d *Disk) SetFull(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

// IsFull reports whether no file can be made.
func (d *Disk) IsFull() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.full
}

func (d *Disk) do(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return ErrOff
	}
	return f()
}

// Create makes a file of so many zeros.
func (d *Disk) Create(path string, size int64) (file *File, err error) {
	err = d.do(func() error {
		if d.full {
			return syscall.ENOSPC
		}
		f := &File{disk: d, data: make([]byte, size)}
		d.files[path], file = f, f
		return nil
	})
	return file, err
}

// Open opens a file.
func (d *Disk) Open(path string) (file *File, err error) {
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

// List gives the names of a directory.
func (d *Disk) List(dir string) (names []string, err error) {
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

// Link gives a file another name.
func (d *Disk) Link(from, to string) error {
	return d.do(func() error { d.files[to] = d.files[from]; return nil })
}

// Remove takes a name away.
func (d *Disk) Remove(path string) error {
	return d.do(func() error {
		if f := d.files[path]; f.listed {
			d.gone[path], d.removed = f, append(d.removed, path)
		}
		delete(d.files, path)
		return nil
	})
}

// SyncDir has names last.
func (d *Disk) SyncDir(string) error {
	return d.do(func() error {
		for _, f := range d.files {
			f.listed = true
		}
		d.removed, d.gone = nil, map[string]*File{}
		return nil
	})
}

// ReadAt is io.ReaderAt's.
func (f *File) ReadAt(b []byte, at int64) (n int, err error) {
	err = f.disk.do(func() error {
		n, err = bytes.NewReader(f.data).ReadAt(b, at)
		return err
	})
	return n, err
}

// WriteAt is io.WriterAt's.
func (f *File) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.disk.do(func() error {
		if int(at)+len(b) > len(f.data) {
			return syscall.ENOSPC
		}
		n = copy(f.data[at:], b)
		return nil
	})
	return n, err
}

// Sync makes the file durable. Where it fails, some of it may be, and the next one would not know.
func (f *File) Sync() error {
	return f.disk.do(func() error {
		if f.disk.Random.IntN(100) < f.disk.Failing {
			f.writeBack()
			return syscall.EIO
		}
		f.durable = bytes.Clone(f.data)
		return nil
	})
}

// Close does nothing.
func (f *File) Close() error { return nil }

// Size is its length in bytes.
func (f *File) Size() (int64, error) { return int64(len(f.data)), nil }
