package ledger

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// fields are a record's, in the order in which they are written; the places of texts and of numbers are their tags in the log, so that new ones
// come last, and none is used again. Those of bytes are read without a copy: the mover looks at
// millions of records and keeps none.
type fields[T string | []byte] struct {
	texts    [textCount]T
	numbers  [numberCount]int64
	previous Hash // the zero value = none
	untold   bool // the numbers of tokens are not known
	again    bool // the record may be there already
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
	fieldCorrects // the first that version 1 does not have
	fieldReason
	fieldChain
	textCount

	fieldPrevious = textCount // in the log a text of 32 bytes
	nextText      = fieldPrevious + 1
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
	fieldWake // the first that version 1 does not have
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
			r.Corrects, r.Reason, r.Chain,
		},
		numbers: [numberCount]int64{
			int64(r.GPUs), r.ReceivedAt.UnixMicro(), r.DispatchedAt.UnixMicro(),
			r.Queue.Microseconds(), r.Activate.Microseconds(), r.TTFT.Microseconds(), r.Upstream.Microseconds(), r.Billed.Microseconds(),
			r.PromptTokens, r.CompletionTokens, int64(r.Price), int64(r.Cost),
			r.Wake.Microseconds(),
		},
		previous: r.Previous,
		untold:   r.TokensUnknown,
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
		PromptTokens: number(fieldPrompt), CompletionTokens: number(fieldCompletion), TokensUnknown: f.untold,
		Price: fleet.NanoUSD(number(fieldPrice)), Cost: fleet.NanoUSD(number(fieldCost)), Status: Outcome(text(fieldStatus)),
		Corrects: text(fieldCorrects), Reason: text(fieldReason), Wake: duration(fieldWake), Chain: text(fieldChain), Previous: f.previous,
	}
	if r.RequestID == "" {
		r.RequestID = r.ID
	}
	return r
}

// appendPayload appends a record's payload, of the newest version. Its ID is the first field (see hasID), and a text is the last: a frame does not
// end with a zero, as what was allocated behind it begins with.
func appendPayload(b []byte, r *Record, again bool) []byte {
	b = append(b, recordVersion, 0)
	if again {
		b[len(b)-1] = 1
	}
	f := r.fields()
	b = appendText(b, fieldID, f.texts[fieldID])
	for place, n := range f.numbers {
		if tokens := place == fieldPrompt || place == fieldCompletion; tokens && f.untold || !tokens && n == 0 {
			continue
		}
		b = append(b, numberTag(place))
		b = binary.AppendVarint(b, n)
	}
	if f.previous != (Hash{}) {
		b = append(b, textTag(fieldPrevious), byte(len(f.previous)))
		b = append(b, f.previous[:]...)
	}
	for place, s := range f.texts[fieldID+1:] {
		b = appendText(b, fieldID+1+place, s)
	}
	return b
}

func appendText(b []byte, place int, s string) []byte {
	if s == "" {
		return b
	}
	b = append(b, textTag(place))
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// A tag is a varint: the field's place, and in its last bit what follows, so that who does not know the field can pass over it. The places of today
// take one byte.
func textTag(place int) byte   { return byte(place)<<1 | 1 }
func numberTag(place int) byte { return byte(place) << 1 }

// read takes a record's fields from a payload, whose bytes they share. The error is ErrNewer for a version that this
// Pilotlight does not know.
func (f *fields[T]) read(payload []byte) error {
	if len(payload) > 0 && payload[0] > recordVersion {
		return fmt.Errorf("%w: a record has version %d", ErrNewer, payload[0])
	}
	if len(payload) < 2 || payload[0] < 1 || payload[1] > 1 {
		return errDamaged
	}
	in := reader{data: payload[2:]}
	*f = fields[T]{again: payload[1] == 1}
	if payload[0] == 1 {
		f.readInOrder(&in)
	} else {
		f.readTagged(&in)
	}
	if in.failed || len(in.data) != 0 {
		return errDamaged
	}
	return nil
}

// readInOrder reads the fields of version 1: all, one after the other.
func (f *fields[T]) readInOrder(in *reader) {
	for i := range f.texts[:fieldCorrects] {
		f.texts[i] = T(in.text())
	}
	for i := range f.numbers[:fieldWake] {
		f.numbers[i] = in.number()
	}
}

// readTagged reads the fields that there are, and passes over those that a later version may have added.
func (f *fields[T]) readTagged(in *reader) {
	f.untold = true
	for len(in.data) > 0 && !in.failed {
		tag := in.unsigned()
		place, is := tag>>1, tag&1 == 1
		switch {
		case is && place < textCount:
			f.texts[place] = T(in.text())
		case is && place == fieldPrevious:
			hash := in.text()
			in.failed = in.failed || len(hash) != len(f.previous)
			copy(f.previous[:], hash)
		case is:
			in.text()
		case place < numberCount:
			f.numbers[place] = in.number()
			f.untold = f.untold && place != fieldPrompt && place != fieldCompletion
		default:
			in.number()
		}
	}
}

// hasID reports whether a payload is that of the record with an ID, which is not empty: a look at its first field.
func hasID(payload []byte, id string) bool {
	if len(payload) < 3 {
		return false
	}
	in := reader{data: payload[2:]}
	if payload[0] > 1 && in.unsigned() != uint64(textTag(fieldID)) {
		return false
	}
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

func (in *reader) unsigned() uint64 {
	if len(in.data) > 0 && in.data[0] < 0x80 { // as tags and most lengths are
		v := in.data[0]
		in.data = in.data[1:]
		return uint64(v)
	}
	return in.long()
}

// long is unsigned for more than one byte.
func (in *reader) long() uint64 {
	v, n := binary.Uvarint(in.data)
	if n <= 0 {
		in.failed, n = true, 0
	}
	in.data = in.data[n:]
	return v
}

func (in *reader) text() []byte {
	length := in.unsigned()
	if in.failed || length > uint64(len(in.data)) {
		in.failed = true
		return nil
	}
	s := in.data[:length]
	in.data = in.data[length:]
	return s
}
