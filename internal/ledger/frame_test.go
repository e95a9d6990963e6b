package ledger

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The log's format is tested from inside: what a crash or a bad disk can leave in a file cannot be made by Append.

func drawRecord(t *rapid.T) Record {
	var f fields[string]
	for i := range f.texts {
		f.texts[i] = rapid.StringN(0, 40, 160).Draw(t, "text")
	}
	for i := range f.numbers {
		f.numbers[i] = rapid.Int64Range(-1<<50, 1<<50).Draw(t, "number") // microseconds that a time.Duration holds
	}
	return f.record()
}

// readAll gives the records of all whole frames, and whether bytes between them are damaged.
func readAll(data []byte) (records []Record, damaged bool) {
	for off := 0; ; {
		payload, _, end, ok, bad := nextFrame(data, off)
		damaged = damaged || bad
		if !ok {
			return records, damaged
		}
		var f rawFields
		if err := f.read(payload); err == nil {
			records = append(records, f.record())
		}
		off = end
	}
}

func TestFrames_ComeBackWhateverLiesBetweenThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		junk := rapid.SliceOfN(rapid.SampledFrom([]byte{0xfe, 'P', 'L', 0xff, 0, 1, 7}), 0, 20)
		var data []byte
		var want []Record
		for range rapid.IntRange(0, 5).Draw(t, "records") {
			data = append(data, junk.Draw(t, "junk")...)
			r := drawRecord(t)
			data = appendFrame(data, &r, rapid.Bool().Draw(t, "again"))
			want = append(want, r)
		}
		got, _ := readAll(data)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func FuzzReadFrames(f *testing.F) {
	r := Record{ID: "id", Org: "acme", Model: "m"}
	r.complete()
	frame := appendFrame(nil, &r, false)
	f.Add(frame)
	f.Add(frame[:len(frame)-1])
	f.Add(append(bytes.Clone(frame[:9]), frame...))
	f.Add([]byte{0xfe, 'P', 'L', 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		records, damaged := readAll(data)
		var again []byte
		for i := range records {
			again = appendFrame(again, &records[i], false)
		}
		if !damaged && len(again) > len(data) {
			t.Errorf("%d bytes gave records of %d bytes", len(data), len(again))
		}
		appended, _ := readAll(append(bytes.Clone(data), frame...))
		if len(appended) == 0 || appended[len(appended)-1].ID != "id" {
			t.Error("a whole record after these bytes is not found")
		}
	})
}
