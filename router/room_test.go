package router_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// crowded is a disk that can get full.
type crowded struct {
	ledger.Machine
	full atomic.Bool
}

func (d *crowded) Create(path string, size int64) (ledger.File, error) {
	if d.full.Load() {
		return nil, syscall.ENOSPC
	}
	return d.Machine.Create(path, size)
}

// On a full disk no engine works for what could not be recorded; those who were admitted are recorded, all of them.
func TestAdmission_NeedsRoomForTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &crowded{}
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
		for {
			room, err := w.ledger.Reserve()
			if err != nil {
				if !errors.Is(err, ledger.ErrNoRoom) {
					t.Fatal(err)
				}
				break
			}
			others = append(others, room)
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
