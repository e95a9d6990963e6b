package ledger

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// Who has room can append, however full the disk gets in between, however long the names are and in whatever order; who has none is told so, and
// takes nothing from those who have.
func TestReserve_WhatWasPromisedFits(t *testing.T) {
	for _, durability := range []Durability{Async, Sync} {
		random := rand.New(rand.NewPCG(seedOf(t), 2))
		disk := &faulty{}
		l := openOn(t, durability, disk)
		var rooms []Room
		appended := 0
		most := 2500
		if durability == Sync {
			most = 1200
		}
		for appended < most {
			if random.IntN(20) == 0 {
				disk.fail([]error{nil, errFull, errFull}[random.IntN(3)], nil, nil)
			}
			switch n := random.IntN(10); {
			case n < 5:
				room, err := l.Reserve()
				if err != nil && !errors.Is(err, ErrNoRoom) {
					t.Fatal(err)
				}
				if err == nil {
					rooms = append(rooms, room)
				}
			case n < 8 && len(rooms) > 0:
				i := random.IntN(len(rooms))
				r := &Record{Org: "acme", Model: strings.Repeat("m", random.IntN(200)), Instance: strings.Repeat("i", random.IntN(400)), DispatchedAt: time.Now()}
				if err := rooms[i].Append(r); err != nil {
					t.Fatalf("the record of who had room: %v", err)
				}
				appended++
				rooms[i].Release()
				rooms[i] = rooms[len(rooms)-1]
				rooms = rooms[:len(rooms)-1]
			case n == 8 && len(rooms) > 0 && random.IntN(10) == 0: // a request that was never sent to an engine
				rooms[0].Release()
				rooms = rooms[1:]
			default: // who has no room, and takes much
				r := &Record{Org: "acme", Model: "m", Reason: strings.Repeat("long", 300*random.IntN(20)), DispatchedAt: time.Now()}
				if err := l.Append(r); err != nil && !errors.Is(err, ErrNoRoom) {
					t.Fatal(err)
				} else if err == nil {
					appended++
				}
			}
			if random.IntN(50) == 0 && len(rooms) < 1500 { // a crowd comes
				for range 300 {
					if room, err := l.Reserve(); err == nil {
						rooms = append(rooms, room)
					}
				}
			}
		}
		disk.fail(errFull, nil, nil)
		for refused := 0; refused == 0; { // whatever came before: now it is full, and somebody is told
			if room, err := l.Reserve(); err == nil {
				rooms = append(rooms, room)
			} else if refused++; !errors.Is(err, ErrNoRoom) {
				t.Fatal(err)
			}
		}
		for i := range rooms {
			if err := rooms[i].Append(&Record{Org: "acme", Model: "m", DispatchedAt: time.Now()}); err != nil {
				t.Fatalf("the last records: %v", err)
			}
			rooms[i].Release()
			rooms[i].Release() // gives nothing back that is another's
		}
		if got := len(ids(t, l)); got != appended+len(rooms) {
			t.Errorf("got %d records, want %d", got, appended+len(rooms))
		}
		if claimed := l.wal.claimed.Load(); claimed != 0 {
			t.Errorf("%d bytes are claimed by nobody", claimed)
		}
	}
}

// Records as large as a claim allows for use all that was claimed, though none lies across the end of a segment.
func TestReserve_TheLargestRecordsFit(t *testing.T) {
	disk := &faulty{}
	l := openOn(t, Async, disk)
	rooms := make([]Room, 2500) // three segments
	for i := range rooms {
		var err error
		if rooms[i], err = l.Reserve(); err != nil {
			t.Fatal(err)
		}
	}
	disk.fail(errFull, nil, nil)
	for room, err := l.Reserve(); err == nil; room, err = l.Reserve() {
		rooms = append(rooms, room)
	}
	for i := range rooms {
		r := &Record{Org: "acme", Model: "m", DispatchedAt: time.Now()}
		r.complete()
		r.Chain, r.Previous = l.wal.chain.id, Hash{1}
		for spare := recordRoom - len(appendFrame(nil, r, false)); spare > 0; spare = recordRoom - len(appendFrame(nil, r, false)) {
			r.Instance += strings.Repeat("i", max(1, spare-3)) // its length takes a byte or two
		}
		if size := len(appendFrame(nil, r, false)); size > recordRoom {
			t.Fatalf("made a record of %d bytes", size)
		}
		if err := rooms[i].Append(r); err != nil {
			t.Fatalf("record %d of %d: %v", i, len(rooms), err)
		}
		rooms[i].Release()
	}
}

func TestReserve_OfManyAtOnceAllocatesWhatTheyNeed(t *testing.T) {
	l := open(t, Async)
	rooms := make([]Room, 5000)
	var reserving sync.WaitGroup
	for n := range 10 {
		reserving.Go(func() {
			for i := n; i < len(rooms); i += 10 {
				var err error
				if rooms[i], err = l.Reserve(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	reserving.Wait()
	numbers, err := l.wal.numbers()
	if err != nil || len(numbers) != 5 {
		t.Errorf("got %d segments, %v, want 5 for 5000 records of 1 KiB at most", len(numbers), err)
	}
	for i := range rooms {
		rooms[i].Release()
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if numbers, err := l.wal.numbers(); err != nil || len(numbers) != 0 {
		t.Errorf("after Close: got segments %v, %v, want none", numbers, err)
	}
}

func TestReserve_AllocatesNothingInMemory(t *testing.T) {
	l := open(t, Async)
	if n := testing.AllocsPerRun(1000, func() {
		room, err := l.Reserve()
		if err != nil {
			t.Error(err)
		}
		room.Release()
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
