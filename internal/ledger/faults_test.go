package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// TestFaults plays histories of the ledger: records are appended while the process is killed, the power is cut, the disk is full or fails, the store is away, and
// the clock jumps. See faultsim. The store is SQLite: what another database does with a move is its own tests' affair.
func TestFaults(t *testing.T) {
	if storetest.OnPostgres() {
		return
	}
	dir := t.TempDir()
	faultsim.Run(t, faultsim.World{Play: func(tape *faultsim.Tape) error { return playFaults(tape, dir) }, Rare: []string{
		"reached: a record was withheld", "reached: a power cut lost what was not durable", "reached: the ledger could not be opened", "reached: a move failed",
		"reached: records outlived a power cut before they were moved", "reached: the clock was set back",
	}}, 60, 3)
}

// faults is one history of a ledger.
type faults struct {
	faultsim.History
	config Config
	l      *Ledger // nil = it could not be opened
	disk   forgetful
	away   bool // the store is
	clock  time.Time

	made    int
	records []*made
}

// made is a record that was appended.
type made struct {
	id, org  string
	answered bool // Append has returned without an error
	durable  bool // it is there after a power cut
	unsaid   bool // it was withheld while no file could be made that tells a restart: see cutTries
	doubtful bool // an fsync of it has failed: only a move makes it durable
	moved    bool // a move has gone well since
	gone     bool // a power cut has come before it was durable: it may be there or not
}

func playFaults(tape *faultsim.Tape, parent string) error {
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(context.Background(), filepath.Join(dir, "p.db"))
	if err != nil {
		return err
	}
	defer s.Close()
	f := &faults{History: faultsim.History{Tape: tape}, clock: time.Date(2025, 6, 15, 12, 0, 0, 0, time.UTC)}
	f.disk = newForgetful(f.random())
	f.config = Config{Dir: filepath.Join(dir, "ledger"), Store: s, Durability: faultsim.Pick(tape, []Durability{Sync, Async})}
	f.open()
	defer f.close()
	return f.Play(f.chooseKinds(), f.Step, f.calmDown)
}

// chooseKinds decides which steps this history has, and how often.
func (f *faults) chooseKinds() []faultsim.Kind {
	kinds := []faultsim.Kind{{Name: "append", Do: f.stepAppend}, {Name: "append", Do: f.stepAppend}, {Name: "move", Do: f.stepMove}, {Name: "fsync", Do: f.stepSync}}
	return append(kinds, f.Swarm([]faultsim.Kind{
		{Name: "append", Do: f.stepAppend},
		{Name: "process killed", Do: f.stepKill},
		{Name: "power cut", Do: f.stepPowerCut},
		{Name: "disk full", Do: f.stepFull},
		{Name: "fsyncs fail", Do: f.stepFailing},
		{Name: "store away", Do: f.stepAway},
		{Name: "clock jumps", Do: f.stepClock},
		{Name: "sort", Do: f.stepSort},
		{Name: "look", Do: f.check},
		{Name: "restart", Do: f.stepRestart},
	}...)...)
}

// said gives what an error says without the directory, which is another each time.
func (f *faults) said(err error) string {
	return strings.ReplaceAll(fmt.Sprint(err), f.config.Dir, "ledger")
}

// random gives what decides for the disk: which sectors it wrote back before a power cut, and which fsyncs fail.
func (f *faults) random() *rand.Rand {
	return rand.New(rand.NewPCG(uint64(f.Choose(1<<30)), 1))
}

// ctx is done where the store is away.
func (f *faults) ctx() context.Context {
	if !f.away {
		return context.Background()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// open begins a life of the ledger, if it can.
func (f *faults) open() {
	f.config.Disk = f.disk
	l, err := Open(f.ctx(), f.config)
	f.Note("opens: %v", f.said(err))
	if f.l = l; err == nil {
		return
	}
	f.Reached("the ledger could not be opened")
	if f.l = nil; !f.disk.IsFull() && !f.away && f.disk.Failing == 0 {
		f.Fail("it cannot be opened, and nothing is in its way: %v", err)
	}
}

// ready gives the ledger, which a server would not stop trying to open.
func (f *faults) ready() bool {
	if f.l == nil {
		f.open()
	}
	return f.l != nil
}

func (f *faults) stepAppend() {
	if !f.ready() {
		return
	}
	for range 1 + f.Choose(3) {
		f.made++
		m := &made{id: fmt.Sprintf("usg_%06d", f.made), org: fmt.Sprint("org", f.Choose(3))}
		r := &Record{ID: m.id, Org: m.org, TokenID: "t", Model: "m", GPUs: 1, Price: 8_250_000_000, DispatchedAt: f.clock, ReceivedAt: f.clock, Billed: time.Second, Status: Complete}
		err := f.l.Append(r)
		f.Note("%s of %s: %v", m.id, m.org, f.said(err))
		m.answered, m.durable = err == nil, err == nil && f.config.Durability == Sync
		if err != nil {
			f.Reached("a record was withheld")
			m.unsaid = f.disk.IsFull()
		}
		if err != nil && !f.disk.IsFull() && f.disk.Failing == 0 {
			f.Fail("%s was not taken, and nothing is in its way: %v", m.id, err)
		}
		f.records = append(f.records, m)
	}
}

func (f *faults) stepMove() {
	if !f.ready() {
		return
	}
	err := f.l.flush(f.ctx())
	f.Note("moves: %v", f.said(err))
	if err != nil {
		f.Reached("a move failed")
		if !f.away && f.disk.Failing == 0 {
			f.Fail("a move failed, and nothing is in its way: %v", err)
		}
		return
	}
	for _, m := range f.records {
		if m.answered && !m.gone {
			m.moved, m.durable = true, true
		}
	}
}

func (f *faults) stepSync() {
	if !f.ready() {
		return
	}
	err := f.l.wal.sync(f.l.wal.pending())
	f.Note("fsyncs: %v", f.said(err))
	for _, m := range f.records {
		switch {
		case err != nil: // the kernel may have dropped what it could not write, and the next fsync does not know
			m.doubtful = m.doubtful || !m.durable
		case m.answered && !m.gone && !m.doubtful:
			m.durable = true
		}
	}
}

func (f *faults) stepSort() {
	if f.ready() && !f.away {
		if err := f.l.Sort(context.Background()); err != nil && f.disk.Failing == 0 {
			f.Fail("sorting failed: %v", err)
		}
	}
}

func (f *faults) close() {
	if f.l != nil {
		f.l.Crash()
		f.l = nil
	}
}

func (f *faults) stepKill() {
	f.close()
	f.open()
}

// stepRestart ends the process in good order.
func (f *faults) stepRestart() {
	if f.l == nil || f.away || f.disk.IsFull() || f.disk.Failing > 0 {
		return
	}
	if err := f.l.Close(); err != nil {
		f.Fail("closing: %v", err)
	}
	f.l = nil
	f.open()
}

func (f *faults) stepPowerCut() {
	if f.Choose(3) > 0 {
		return
	}
	next := f.disk.cutPower()
	f.close()
	next.Random = f.random()
	f.disk = next
	for _, m := range f.records {
		switch {
		case m.durable && !m.moved:
			f.Reached("records outlived a power cut before they were moved")
		case m.answered && !m.durable:
			f.Reached("a power cut lost what was not durable")
			m.gone = true
		}
	}
	f.open()
}

func (f *faults) stepFull()    { f.disk.SetFull(!f.disk.IsFull()) }
func (f *faults) stepAway()    { f.away = !f.away }
func (f *faults) stepFailing() { f.disk.Failing = faultsim.Pick(f.Tape, []int{0, 0, 10, 50}) }

func (f *faults) stepClock() {
	jump := faultsim.Pick(f.Tape, []time.Duration{time.Second, time.Minute, 26 * time.Hour, -time.Hour, -50 * time.Hour})
	if f.clock = f.clock.Add(jump); jump < 0 {
		f.Reached("the clock was set back")
	}
}

func (f *faults) calmDown() {
	f.Note("calm")
	f.disk.SetFull(false)
	f.away, f.disk.Failing = false, 0
	f.check()
	f.stepKill()
	f.check()
}

// check holds that each record is there once that must be, and none that must not, that each organisation's are one chain, and that sums are those of what is there.
func (f *faults) check() {
	if f.away || !f.ready() {
		return
	}
	if f.stepMove(); f.Broken() || f.disk.Failing > 0 {
		return
	}
	found, last, sums := make(map[string]int), make(map[[2]string]Hash), make(map[string]int64)
	for cursor := ""; ; {
		page, err := f.l.Records(context.Background(), "", cursor, MaxRecordsLimit)
		if err != nil {
			f.Fail("looking: %v", err)
			return
		}
		for k := range page.Records {
			r := &page.Records[k]
			found[r.ID]++
			sums[r.Org]++
			key := [2]string{r.Chain, r.Org}
			if r.Previous != last[key] {
				f.Fail("%s of %s does not come behind what came before it", r.ID, r.Org)
			}
			last[key] = HashOf(r)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for _, m := range f.records {
		if n := found[m.id]; n > 1 || n == 0 && m.answered && !m.gone || n > 0 && !m.answered && !m.unsaid {
			f.Fail("%+v is there %d times", *m, n)
		}
	}
	rows, _, err := f.l.Usage(context.Background(), Query{})
	if err != nil {
		f.Fail("summing: %v", err)
	}
	for _, row := range rows {
		sums[row.Org] -= row.Requests
	}
	for org, n := range sums {
		if n != 0 {
			f.Fail("%s: the sums differ by %d from the records", org, n)
		}
	}
}
