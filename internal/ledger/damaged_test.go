package ledger_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// withDamage gives a ledger with one record before, two in and one after a block that is then damaged, and one of another organisation
// in a block of its own; sorted, the damaged part is acme's.
func withDamage(t *testing.T, sort bool) (*ledger.Ledger, ledger.Config, *logged) {
	t.Helper()
	_, c := newLedger(t)
	log := new(logged)
	c.Dir, c.Log = t.TempDir(), log.logger()
	l := openLedger(t, c)
	at := func(n, hours int, org string) *ledger.Record {
		r := record(n)
		r.Org, r.DispatchedAt = org, noon.AddDate(0, 0, n).Add(time.Duration(hours)*time.Hour)
		return r
	}
	for _, block := range [][]*ledger.Record{
		{at(1, 0, "acme")},
		{at(2, 0, "acme"), at(2, 1, "acme")},
		{at(4, 0, "zoo"), at(4, 0, "acme")},
	} {
		appendAll(t, l, block...)
		move(t, l)
		if sort { // into a run each: they are days apart
			sorted(t, l)
		}
	}
	table := map[bool]string{false: "usage_blocks", true: "usage_parts"}[sort]
	var data []byte
	if err := c.Store.DB().QueryRow("SELECT data FROM " + table + " WHERE seq = 2").Scan(&data); err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	ledger.Exec(t, c.Store, "UPDATE "+table+" SET data = $1 WHERE seq = 2", data)
	return l, c, log
}

func TestDamage_FailsOnlyItself(t *testing.T) {
	for _, sort := range []bool{false, true} {
		l, _, log := withDamage(t, sort)
		damage := ledger.Damage{Block: 2, Records: 2, From: noon.AddDate(0, 0, 2), To: noon.AddDate(0, 0, 2).Add(time.Hour)}
		if sort {
			damage.Org = "acme"
		}
		for org, want := range map[string][]string{"acme": {"req-1", "req-4"}, "": {"req-1", "req-4", "req-4"}, "zoo": {"req-4"}} {
			page, err := l.Records(t.Context(), org, "", 0)
			damaged := []ledger.Damage{damage}
			if org == "zoo" {
				damaged = nil
			}
			if diff := cmp.Diff(want, requests(page.Records)) + cmp.Diff(damaged, page.Damaged); diff != "" || err != nil {
				t.Errorf("sorted %t: list of %q: %v (-want +got):\n%s", sort, org, err, diff)
			}
			if len(page.Records) == 0 {
				t.FailNow()
			}
			page, err = l.Records(t.Context(), org, page.Records[len(page.Records)-1].ID, 0)
			if err != nil || len(page.Damaged)+len(page.Records) != 0 {
				t.Errorf("sorted %t: behind the damage: got %+v, %v, want nothing", sort, page, err)
			}
		}
		usage := func(q ledger.Query) (int64, error) {
			rows, _, err := l.Usage(t.Context(), q)
			n := int64(0)
			for _, r := range rows {
				n += r.Requests
			}
			return n, err
		}
		var unread *ledger.DamagedError
		cut := damage.From.Add(30 * time.Minute)
		if n, err := usage(ledger.Query{From: cut}); !errors.As(err, &unread) || unread.Block != 2 || !strings.Contains(err.Error(), "block 2 ") {
			t.Errorf("sorted %t: a sum that needs the block: got %d, %v, want it named", sort, n, err)
		}
		for want, q := range map[int64]ledger.Query{5: {}, 4: {Org: "acme"}, 1: {Org: "zoo", From: cut}, 2: {From: damage.To.Add(24 * time.Hour)}} {
			if n, err := usage(q); n != want || err != nil {
				t.Errorf("sorted %t: %+v: got %d requests, %v, want %d", sort, q, n, err, want)
			}
		}
		if _, err := l.Receipt(t.Context(), "acme", "tok_1", "req-2"); !errors.As(err, &unread) {
			t.Errorf("sorted %t: a receipt in it: got %v, want the block named", sort, err)
		}
		if got, err := l.Receipt(t.Context(), "acme", "tok_1", "req-4"); err != nil || got.RequestID != "req-4" {
			t.Errorf("sorted %t: another receipt: got %+v, %v", sort, got, err)
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "block 2 ") {
			t.Errorf("sorted %t: got %d lines, want one that names the block:\n%s", sort, n, log.String())
		}
		var out bytes.Buffer
		if l.Metrics().WritePrometheus(&out); !strings.Contains(out.String(), "pilotlight_ledger_damaged_blocks 1\n") {
			t.Errorf("sorted %t: got\n%s", sort, out.String())
		}
	}
}

func TestDamage_StopsNeitherMoverNorSorter(t *testing.T) {
	l, c, _ := withDamage(t, false)
	sorted(t, l)
	again := record(2) // with the ID of a record that may be in the damaged block
	appendAll(t, l, again, record(9))
	sorted(t, l)
	page, err := l.Records(t.Context(), "", "", 0)
	if err != nil || len(page.Damaged) != 1 {
		t.Errorf("got %+v, %v, want the damage still named", page, err)
	}
	move(t, l)
	sorted(t, l)
	if got := requests(all(t, l)); !cmp.Equal(got, []string{"req-1", "req-4", "req-4", "req-2", "req-9"}) {
		t.Errorf("got %v", got)
	}
	var blocks int
	if err := c.Store.DB().QueryRow("SELECT count(*) FROM usage_blocks").Scan(&blocks); err != nil || blocks != 1 {
		t.Errorf("got %d blocks, %v, want the damaged one left as it is", blocks, err)
	}
}

func TestRecords_EveryDamagedByteIsSeen(t *testing.T) {
	l, c := newLedger(t)
	other := record(2)
	other.Org = "zoo"
	appendAll(t, l, record(1), other, record(3))
	move(t, l)
	spoil := func(table, column string) {
		var data []byte
		if err := c.Store.DB().QueryRow("SELECT " + column + " FROM " + table + " WHERE seq = 1 ORDER BY 1").Scan(&data); err != nil {
			t.Fatal(err)
		}
		for at := range data {
			bad := bytes.Clone(data)
			bad[at] ^= 1
			ledger.Exec(t, c.Store, "UPDATE "+table+" SET "+column+" = $1 WHERE "+column+" = $2", bad, data)
			if page, err := l.Records(t.Context(), "", "", 0); err != nil || len(page.Damaged) != 1 {
				t.Fatalf("%s of %s: byte %d damaged: got %+v, %v, want it named", column, table, at, page, err)
			}
			ledger.Exec(t, c.Store, "UPDATE "+table+" SET "+column+" = $1 WHERE "+column+" = $2", data, bad)
		}
	}
	spoil("usage_blocks", "data")
	sorted(t, openLedger(t, ledger.Config{Dir: t.TempDir(), Store: c.Store})) // by one that has not met the damage
	spoil("usage_parts", "data")
	spoil("usage_parts", "places")
	if got := requests(all(t, l)); !cmp.Equal(got, []string{"req-1", "req-2", "req-3"}) {
		t.Errorf("got %v", got)
	}
}
