package router_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// weak is a disk that can get full, and can fail.
type weak struct {
	ledger.Machine
	full, failing atomic.Bool
}

func (d *weak) Create(path string, size int64) (ledger.File, error) {
	if d.full.Load() {
		return nil, syscall.ENOSPC
	}
	f, err := d.Machine.Create(path, size)
	return weakFile{f, d}, err
}

type weakFile struct {
	ledger.File
	disk *weak
}

func (f weakFile) WriteAt(b []byte, at int64) (int, error) {
	if f.disk.failing.Load() {
		return 0, syscall.EIO
	}
	return f.File.WriteAt(b, at)
}

// On a full disk no engine works for what could not be recorded; those who were admitted are recorded, all of them.
func TestAdmission_NeedsRoomForTheRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := &weak{}
		w := newWorld(t, setup{ledger: func(c *ledger.Config) { c.Disk = disk }})
		w.heat(chatModel)
		disk.full.Store(true)
		var asked atomic.Int32
		hold := make(chan struct{})
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			<-hold
			answerChat(rw, r)
		})
		inFlight := make(chan answer, 2)
		for range 2 {
			go func() { inFlight <- w.do(call{body: chat(chatModel)}) }()
		}
		synctest.Wait()
		var others []ledger.Room // that other requests hold
		for range 2000 {         // more than a segment has room for
			room, err := w.ledger.Reserve()
			if err == nil {
				others = append(others, room)
			} else if !errors.Is(err, ledger.ErrNoRoom) {
				t.Fatal(err)
			}
		}
		a := w.do(call{body: chat(chatModel)})
		w.wantCode(a, 503, "overloaded")
		if a.Header.Get("Retry-After") == "" {
			t.Error("the refusal does not say when to try again")
		}
		if n := asked.Load(); n != 2 {
			t.Errorf("got %d requests at engines, want the two that were admitted before", n)
		}
		close(hold)
		for range 2 {
			if a := <-inFlight; a.err != nil || a.StatusCode != 200 {
				t.Errorf("got %+v of a request that was admitted, want 200", a)
			}
		}
		for i := range others[:len(others)/2] {
			others[i].Release()
		}
		if a := w.do(call{body: chat(chatModel)}); a.err != nil || a.StatusCode != 200 {
			t.Errorf("once others have ended: got %+v, want 200", a)
		}
		w.records(4)
	})
}

// An answer whose record cannot be written is not whole: its end is withheld, whatever of it is out, and nobody pays for it.
func TestAnswer_WithoutItsRecordIsNotWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := &weak{}
		w := newWorld(t, setup{ledger: func(c *ledger.Config) { c.Disk = disk }})
		w.heat(chatModel)
		disk.failing.Store(true)
		w.wantCode(w.do(call{body: chat(chatModel)}), 503, "overloaded")
		disk.failing.Store(false)
		if a := w.do(call{body: chat(chatModel, stream)}); a.err != nil || !strings.HasSuffix(a.text, "data: [DONE]\n\n") {
			t.Fatalf("got %q, %v, want a whole stream", a.text, a.err)
		}
		disk.failing.Store(true)
		a := w.do(call{body: chat(chatModel, stream)})
		if strings.Contains(a.text, "[DONE]") || !strings.Contains(a.text, `"code":"overloaded"`) {
			t.Errorf("got %q, %v, want an error event and no [DONE]", a.text, a.err)
		}
		disk.failing.Store(false)
		w.records(2) // of the two that were answered
	})
}
