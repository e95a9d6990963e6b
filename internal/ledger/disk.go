package ledger

import (
	"errors"
	"io"
	"os"
)

// Disk is what the log needs of a file system. Tests give one that fails, or that forgets what was not fsynced.
type Disk interface {
	Create(path string, size int64) (File, error) // a new file of so many zeros, writing over which needs no more room
	Open(path string) (File, error)               // for reading
	List(dir string) ([]string, error)            // names of files
	Link(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
}

// File is an open file of a Disk.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Size() (int64, error)
}

// Machine is this machine's Disk.
type Machine struct {
	fsyncs *fsyncs // nil = fsync(2) does
}

// Size is the file's length in bytes.
func (f *machineFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (m Machine) Create(path string, size int64) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := allocate(f, size); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return newMachineFile(f, m.fsyncs)
}

func (m Machine) Open(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return newMachineFile(f, m.fsyncs)
}

func (Machine) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (Machine) Link(from, to string) error { return os.Link(from, to) }
func (Machine) Remove(path string) error   { return os.Remove(path) }

func (Machine) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeZeros allocates by writing, where the file system knows no other way.
func writeZeros(f *os.File, size int64) error {
	zeros := make([]byte, 64<<10)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}
