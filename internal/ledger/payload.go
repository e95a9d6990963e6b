package ledger

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// fields are a record's in the order in which they are written. Those of bytes are read without a copy: the mover looks at
// millions of records and keeps none.
type fields[T string | []byte] struct {
	texts   [textCount]T
	numbers [numberCount]int64
	again   bool // the log may hold the record twice
}

// Places of the texts.
const (
	fieldID      = iota
	fieldRequest // empty: the ID
	fieldKind
	fieldOrg
	fieldToken
	fieldModel
	fieldInstance
	fieldStart
	fieldStatus
	textCount
)

// Places of the numbers: times and durations are in microseconds.
const (
	fieldGPUs = iota
	fieldReceived
	fieldDispatched
	fieldQueue
	fieldActivate
	fieldTTFT
	fieldUpstream
	fieldBilled
	fieldPrompt
	fieldCompletion
	fieldPrice
	fieldCost
	numberCount
)

// rawFields are fields as they lie in a frame.
type rawFields = fields[[]byte]

func (r *Record) fields() fields[string] {
	request := r.RequestID
	if request == r.ID {
		request = ""
	}
	return fields[string]{
		texts: [textCount]string{
			r.ID, request, string(r.Kind), r.Org, r.TokenID, r.Model, r.Instance, string(r.Start), string(r.Status),
		},
		numbers: [numberCount]int64{
			int64(r.GPUs), r.ReceivedAt.UnixMicro(), r.DispatchedAt.UnixMicro(),
			r.Queue.Microseconds(), r.Activate.Microseconds(), r.TTFT.Microseconds(), r.Upstream.Microseconds(), r.Billed.Microseconds(),
			r.PromptTokens, r.CompletionTokens, int64(r.Price), int64(r.Cost),
		},
	}
}

// record is the inverse of Record.fields. It holds nothing of the bytes that f was read from.
func (f *fields[T]) record() Record {
	text := func(place int) string { return string(f.texts[place]) }
	number := func(place int) int64 { return f.numbers[place] }
	duration := func(place int) time.Duration { return time.Duration(f.numbers[place]) * time.Microsecond }
	r := Record{
		ID: text(fieldID), RequestID: text(fieldRequest), Kind: Kind(text(fieldKind)), Org: text(fieldOrg), TokenID: text(fieldToken),
		Model: text(fieldModel), Instance: text(fieldInstance), GPUs: int(number(fieldGPUs)), Start: fleet.Tier(text(fieldStart)),
		ReceivedAt: time.UnixMicro(number(fieldReceived)).UTC(), DispatchedAt: time.UnixMicro(number(fieldDispatched)).UTC(),
		Queue: duration(fieldQueue), Activate: duration(fieldActivate), TTFT: duration(fieldTTFT),
		Upstream: duration(fieldUpstream), Billed: duration(fieldBilled),
		PromptTokens: number(fieldPrompt), CompletionTokens: number(fieldCompletion),
		Price: fleet.NanoUSD(number(fieldPrice)), Cost: fleet.NanoUSD(number(fieldCost)), Status: Outcome(text(fieldStatus)),
	}
	if r.RequestID == "" {
		r.RequestID = r.ID
	}
	return r
}

func appendPayload(b []byte, r *Record, again bool) []byte {
	b = append(b, recordVersion, 0)
	if again {
		b[len(b)-1] = 1
	}
	f := r.fields()
	for _, s := range f.texts {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, n := range f.numbers {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// read takes a record's fields from a payload, whose bytes they share. The error is ErrNewer for a version that this
// Pilotlight does not know.
func (f *fields[T]) read(payload []byte) error {
	if len(payload) > 0 && payload[0] > recordVersion {
		return fmt.Errorf("%w: a record has version %d", ErrNewer, payload[0])
	}
	if len(payload) < 2 || payload[0] != recordVersion || payload[1] > 1 {
		return errDamaged
	}
	f.again = payload[1] == 1
	in := reader{data: payload[2:]}
	for i := range f.texts {
		f.texts[i] = T(in.text())
	}
	for i := range f.numbers {
		f.numbers[i] = in.number()
	}
	if in.failed || len(in.data) != 0 {
		return errDamaged
	}
	return nil
}

// hasID reports whether a payload is that of the record with an ID, which is not empty: a look at its first field.
func hasID(payload []byte, id string) bool {
	in := reader{data: payload[min(len(payload), 2):]}
	return string(in.text()) == id
}

// reader takes fields off a payload; after the first that is not there, failed stays true.
type reader struct {
	data   []byte
	failed bool
}

func (in *reader) number() int64 {
	v, n := binary.Varint(in.data)
	if n <= 0 {
		in.failed, n = true, 0
	}
	in.data = in.data[n:]
	return v
}

func (in *reader) text() []byte {
	length, n := binary.Uvarint(in.data)
	if n <= 0 || length > uint64(len(in.data)-n) {
		in.failed = true
		return nil
	}
	s := in.data[n : n+int(length)]
	in.data = in.data[n+int(length):]
	return s
}
