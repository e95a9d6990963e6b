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

func BenchmarkMove(b *testing.B) {
	l, _ := newLedger(b)
	for n := range b.N {
		appendAll(b, l, record(n))
	}
	b.ResetTimer()
	if _, err := l.Receipt(context.Background(), "tok_1", "req-0"); err != nil {
		b.Fatal(err)
	}
}
