package ledger_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

func benchmarkAppend(b *testing.B, durability ledger.Durability) {
	dir := b.TempDir()
	l := openLedger(b, ledger.Config{Dir: dir, Store: openStore(b, filepath.Join(dir, "p.db")), Durability: durability})
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		r := record(1)
		for pb.Next() {
			r.ID = ""
			if err := l.Append(r); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkAppend_Async(b *testing.B) { benchmarkAppend(b, ledger.Async) }
func BenchmarkAppend_Sync(b *testing.B)  { benchmarkAppend(b, ledger.Sync) }

func benchmarkMove(b *testing.B, named bool) {
	l, _ := newLedger(b)
	for n := range b.N {
		r := record(n)
		if !named { // as the router does
			r.ID, r.RequestID = ledger.NewID(), ""
		}
		appendAll(b, l, r)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if err := l.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkMove(b *testing.B)       { benchmarkMove(b, false) }
func BenchmarkMove_Named(b *testing.B) { benchmarkMove(b, true) }
