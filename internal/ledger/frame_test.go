package ledger

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The log's format is tested from inside: what a crash or a bad disk can leave in a file cannot be made by Append.

func drawRecord(t *rapid.T) Record {
	r := Record{GPUs: rapid.Int().Draw(t, "gpus")}
	for _, s := range r.texts() {
		*s = rapid.StringN(0, 40, 160).Draw(t, "text")
	}
	for _, n := range r.numbers() {
		*n = rapid.Int64().Draw(t, "number")
	}
	decoded, err := decodePayload(appendPayload(nil, &r)) // the zero times in the form in which they are kept
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func TestFrames_ComeBackWhateverLiesBetweenThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		junk := rapid.SliceOfN(rapid.SampledFrom([]byte{0xfe, 'P', 'L', 0xff, 0, 1, 7}), 0, 20)
		var data []byte
		var want []Record
		for range rapid.IntRange(0, 5).Draw(t, "records") {
			data = append(data, junk.Draw(t, "junk")...)
			r := drawRecord(t)
			data = appendFrame(data, &r)
			want = append(want, r)
		}
		got, next, _ := readFrames(data, 0)
		if diff := cmp.Diff(want, got); diff != "" || next != len(data) {
			t.Errorf("next %d of %d (-want +got):\n%s", next, len(data), diff)
		}
	})
}

func FuzzReadFrames(f *testing.F) {
	r := Record{ID: "id", Org: "acme", Model: "m"}
	r.complete()
	frame := appendFrame(nil, &r)
	f.Add(frame)
	f.Add(frame[:len(frame)-1])
	f.Add(append(bytes.Clone(frame[:9]), frame...))
	f.Add([]byte{0xfe, 'P', 'L', 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		records, next, err := readFrames(data, 0)
		if next < 0 || next > len(data) {
			t.Fatalf("next is %d of %d", next, len(data))
		}
		var again []byte
		for i := range records {
			again = appendFrame(again, &records[i])
		}
		if err == nil && len(records) < batchRecords && len(again) > len(data) {
			t.Errorf("%d bytes gave records of %d bytes", len(data), len(again))
		}
		appended, _, _ := readFrames(append(bytes.Clone(data), frame...), 0)
		if len(records) < batchRecords && (len(appended) == 0 || appended[len(appended)-1].ID != "id") && len(appended) < batchRecords {
			t.Error("a whole record after these bytes is not found")
		}
	})
}
