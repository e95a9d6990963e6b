//go:build amd64 || arm64

package ledger

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	// brief is the largest piece that is written without the scheduler's knowledge.
	brief = 64 << 10
	// A file is taken for one of a slow disk once a write to it has taken longWrite, and while an fsync of it takes longer than longSync.
	longWrite = 50 * time.Millisecond
	longSync  = 250 * time.Millisecond
)

// machineFile is a file of this machine. What is written to it is written without the scheduler's knowledge, like small pieces to sockets, and for the same reason
// (see internal/socket): it goes to memory that is the file's already, in microseconds. A slow disk may hold a writer up, and with it one of Go's processors: what
// is written to a file of such a one is made known to the scheduler.
type machineFile struct {
	*os.File
	raw  syscall.RawConn
	all  *fsyncs // nil = fsync(2) does
	slow bool
	sync atomic.Int64 // when the fsync under way has begun, in nanoseconds since 1970; 0 = none is

	write transfer // one at a time: the log's lock is held
}

// transfer is a write under way. Its function is made once, because a closure for each call would be garbage.
type transfer struct {
	b  []byte
	at int64
	n  int // bytes written
	do func(fd uintptr)
}

func newMachineFile(f *os.File, all *fsyncs) (File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	m := &machineFile{File: f, raw: raw, all: all}
	m.write.do = m.write.once
	return m, nil
}

func (t *transfer) once(fd uintptr) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PWRITE64, fd, uintptr(unsafe.Pointer(&t.b[0])), uintptr(len(t.b)), uintptr(t.at), 0, 0)
	if errno == 0 {
		t.n = int(n)
	}
}

// WriteAt writes b. Unlike an os.File's it may be called once at a time only.
func (f *machineFile) WriteAt(b []byte, at int64) (int, error) {
	if len(b) == 0 || len(b) > brief {
		return f.File.WriteAt(b, at)
	}
	began := time.Now()
	if since := f.sync.Load(); f.slow || since != 0 && began.UnixNano()-since > int64(longSync) {
		return f.File.WriteAt(b, at)
	}
	t := &f.write
	t.b, t.at, t.n = b, at, 0
	err := f.raw.Control(t.do)
	t.b = nil
	if time.Since(began) > longWrite {
		f.slow = true
	}
	if err == nil && t.n == len(b) {
		return t.n, nil
	}
	n, err := f.File.WriteAt(b[t.n:], at+int64(t.n)) // what is left of it, or all: it says, too, what is wrong
	return t.n + n, err
}

// Sync makes what was written durable.
func (f *machineFile) Sync() error {
	f.sync.Store(time.Now().UnixNano())
	defer f.sync.Store(0)
	if f.all != nil {
		if known, err := f.all.fsync(f.raw); known {
			return err
		}
	}
	return f.File.Sync()
}
