package ledger

import (
	"context"
	"fmt"
	"time"
)

// Arrival is what a usage record says of its request's coming.
type Arrival struct {
	Model  []byte    // valid during the call
	At     time.Time // when it began to wait for an instance
	Waited time.Duration
	Took   time.Duration // for which it held one of an instance's request slots
}

// Arrivals calls f with each request that was dispatched from one moment on and before another, in no order, whether or not its record has reached the
// store. It keeps none of them, so what it costs is the reading. What is damaged is passed over, and reported as for every query.
func (l *Ledger) Arrivals(ctx context.Context, from, to time.Time, f func(Arrival)) error {
	err := l.read(ctx, "", func(v *view) error {
		period := extent{max(ceilMicro(from), v.oldest), ceilMicro(to)}
		take := func(r *rawFields) {
			at := r.numbers[fieldDispatched]
			if at < period.start || at >= period.end || string(r.texts[fieldKind]) != string(KindUsage) {
				return
			}
			waited := r.numbers[fieldQueue] + r.numbers[fieldActivate]
			f(Arrival{
				Model: r.texts[fieldModel], At: time.UnixMicro(at - waited).UTC(), Waited: micro(waited + r.numbers[fieldWake]),
				Took: micro(max(r.numbers[fieldUpstream]-r.numbers[fieldWake], 0)),
			})
		}
		err := readPieces(ctx, v.tx, sink{
			record: func(_ numbered, r *rawFields) bool {
				take(r)
				return true
			},
			damaged: func(e *DamagedError) error {
				v.tellDamage(e)
				return nil
			},
		}, sumAll, period.start, period.end, int64(runSpan))
		if err != nil {
			return err
		}
		return v.eachUnmoved(ctx, func(r *rawFields) bool {
			take(r)
			return true
		})
	})
	if err != nil {
		return fmt.Errorf("reading when requests came: %w", err)
	}
	return nil
}

func micro(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
