package ledger_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

func TestMachine_WritesSmallAndLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	const size = 512 << 10
	f, err := ledger.Machine{}.Create(path, size)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, size)
	at := 0
	for i, length := range []int{1, 250, 0, 4096, 64 << 10, 64<<10 + 1, 200 << 10} {
		piece := bytes.Repeat([]byte{byte('a' + i)}, length)
		if n, err := f.WriteAt(piece, int64(at)); n != length || err != nil {
			t.Fatalf("wrote %d bytes of %d, %v", n, length, err)
		}
		copy(want[at:], piece)
		at += length + 7
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the file has %d bytes that differ from what was written, or %v", len(got), err)
	}
	var where *fs.PathError
	if n, err := f.WriteAt([]byte("x"), 0); n != 0 || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("writing after Close gave %d, %v; want fs.ErrClosed", n, err)
	}
	f, err = ledger.Machine{}.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := f.WriteAt([]byte("x"), 0); n != 0 || !errors.As(err, &where) || where.Path != path {
		t.Errorf("writing to a file that is open for reading gave %d, %v; want an error that names it", n, err)
	}
}
