//go:build amd64 || arm64

package ledger

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestFsyncs_SayWhatTheKernelDidNotTake(t *testing.T) {
	s := newFsyncs()
	if s == nil {
		t.Skip("the kernel has no asynchronous fsync for this process (io_setup)")
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if known, err := s.fsync(raw); !known || err != nil {
				t.Errorf("fsync of a file gave %t, %v; want true, no error", known, err)
			}
		})
	}
	all.Wait()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	pipe, err := w.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if known, err := s.fsync(pipe); known || err != nil {
		t.Errorf("fsync of a pipe gave %t, %v; want false", known, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if known, err := s.fsync(raw); known || err != nil {
		t.Errorf("fsync of a closed file gave %t, %v; want false", known, err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if known, err := s.fsync(pipe); known || err != nil {
		t.Errorf("fsync after close gave %t, %v; want false", known, err)
	}
}
