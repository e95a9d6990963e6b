package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// On a real disk that is full: those who were admitted are recorded, and when their records have been moved there is room again.
func TestReserve_OnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "ledger")
	if err := os.Mkdir(log, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", log, "tmpfs", 0, "size=3500k"); err != nil {
		if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
			t.Fatalf("mounting a small disk: %v", err)
		}
		t.Skipf("needs the right to mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(log, 0); err != nil {
			t.Error(err)
		}
	})
	l := openIn(t, log, storetest.Open(t, filepath.Join(dir, "p.db")))
	t.Cleanup(func() { l.Close() })
	var rooms []Room
	for {
		room, err := l.Reserve()
		if err != nil {
			if !errors.Is(err, ErrNoRoom) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("got %v, want that there is no room", err)
			}
			break
		}
		rooms = append(rooms, room)
	}
	if err := os.WriteFile(filepath.Join(log, "others"), make([]byte, 4<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: got %v", err)
	}
	for i := range rooms {
		if err := rooms[i].Append(&Record{Org: "acme", Model: "m", DispatchedAt: time.Now()}); err != nil {
			t.Fatalf("record %d of %d that were promised: %v", i, len(rooms), err)
		}
		rooms[i].Release()
	}
	if got := len(ids(t, l)); got != len(rooms) || got < 3000 {
		t.Errorf("got %d records, want the %d of who had room, three thousand or more", got, len(rooms))
	}
	if room, err := l.Reserve(); err != nil {
		t.Errorf("once all is moved: %v", err)
	} else {
		room.Release()
	}
}
