package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// A segment is a header and frames:
//
//	header  "PLLEDGR" version(1)
//	frame   marker(4) length(4) CRC-32C of length and payload(4) payload(length)     little endian
//	payload version(1), then the record's fields in a fixed order: texts as length and bytes, numbers as varints
//
// The marker is no UTF-8, so that no text in a record can hold one: after damage, the next whole frame can be found.
const (
	headerLen    = 8
	frameHeadLen = 12
	maxPayload   = 64 << 10

	segmentVersion = 1
	recordVersion  = 1
)

var (
	segmentHeader = [headerLen]byte{'P', 'L', 'L', 'E', 'D', 'G', 'R', segmentVersion}
	frameMarker   = []byte{0xfe, 'P', 'L', 0xff}
	castagnoli    = crc32.MakeTable(crc32.Castagnoli)
)

var (
	errDamaged  = errors.New("damaged bytes")
	errCutShort = errors.New("the last record is cut short")
)

// appendFrame appends a record's frame to b.
func appendFrame(b []byte, r *Record) []byte {
	start := len(b)
	b = append(b, frameMarker...)
	b = append(b, make([]byte, frameHeadLen-len(frameMarker))...)
	b = appendPayload(b, r)
	frame := b[start:]
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(frame)-frameHeadLen))
	binary.LittleEndian.PutUint32(frame[8:], frameSum(frame))
	return b
}

// frameSum is the checksum that belongs into a whole frame's head.
func frameSum(frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[4:8], castagnoli), castagnoli, frame[frameHeadLen:])
}

// nextFrame finds the first whole frame at or after off. Bytes in between are damaged. It gives ok = false where there is
// none; damaged then says whether what is left is more than a frame cut short by a crash.
func nextFrame(data []byte, off int) (payload []byte, start, end int, ok, damaged bool) {
	for start = off; ; start++ {
		skip := bytes.Index(data[start:], frameMarker)
		if skip < 0 {
			return nil, 0, 0, false, !cutShort(data[off:])
		}
		start += skip
		if payload, ok := wholeFrame(data[start:]); ok {
			return payload, start, start + frameHeadLen + len(payload), true, start > off
		}
	}
}

func wholeFrame(data []byte) (payload []byte, ok bool) {
	if len(data) < frameHeadLen {
		return nil, false
	}
	length := binary.LittleEndian.Uint32(data[4:])
	if length > maxPayload || int(length) > len(data)-frameHeadLen {
		return nil, false
	}
	frame := data[:frameHeadLen+int(length)]
	return frame[frameHeadLen:], frameSum(frame) == binary.LittleEndian.Uint32(frame[8:])
}

// cutShort reports whether data can be the beginning of one frame and no more: what a crash leaves at the end.
func cutShort(data []byte) bool {
	if len(data) < len(frameMarker) {
		return bytes.HasPrefix(frameMarker, data)
	}
	if !bytes.HasPrefix(data, frameMarker) {
		return false
	}
	if len(data) < frameHeadLen {
		return true
	}
	length := binary.LittleEndian.Uint32(data[4:])
	return length <= maxPayload && int(length) > len(data)-frameHeadLen
}

// texts and numbers list the fields in the order in which they are written; both ends use them, so they cannot disagree.
func (r *Record) texts() [9]*string {
	return [9]*string{
		&r.ID, &r.RequestID, (*string)(&r.Kind), &r.Org, &r.TokenID, &r.Model, &r.Instance, (*string)(&r.Start), (*string)(&r.Status),
	}
}

func (r *Record) durations() [5]*time.Duration {
	return [5]*time.Duration{&r.Queue, &r.Activate, &r.TTFT, &r.Upstream, &r.Billed}
}

func (r *Record) numbers() [4]*int64 {
	return [4]*int64{&r.PromptTokens, &r.CompletionTokens, (*int64)(&r.Price), (*int64)(&r.Cost)}
}

func appendPayload(b []byte, r *Record) []byte {
	b = append(b, recordVersion)
	for _, s := range r.texts() {
		b = binary.AppendUvarint(b, uint64(len(*s)))
		b = append(b, *s...)
	}
	b = binary.AppendVarint(b, int64(r.GPUs))
	b = binary.AppendVarint(b, r.ReceivedAt.UnixMicro())
	b = binary.AppendVarint(b, r.DispatchedAt.UnixMicro())
	for _, d := range r.durations() {
		b = binary.AppendVarint(b, d.Microseconds())
	}
	for _, n := range r.numbers() {
		b = binary.AppendVarint(b, *n)
	}
	return b
}

// decodePayload reads a record. The error is ErrNewer for a version that this Pilotlight does not know.
func decodePayload(payload []byte) (Record, error) {
	var r Record
	if len(payload) > 0 && payload[0] > recordVersion {
		return r, fmt.Errorf("%w: a record has version %d", ErrNewer, payload[0])
	}
	if len(payload) == 0 || payload[0] != recordVersion {
		return r, errDamaged
	}
	in := reader{data: payload[1:]}
	for _, s := range r.texts() {
		*s = in.text()
	}
	r.GPUs = int(in.number())
	r.ReceivedAt, r.DispatchedAt = time.UnixMicro(in.number()).UTC(), time.UnixMicro(in.number()).UTC()
	for _, d := range r.durations() {
		*d = time.Duration(in.number()) * time.Microsecond
	}
	for _, n := range r.numbers() {
		*n = in.number()
	}
	if in.failed || len(in.data) != 0 {
		return r, errDamaged
	}
	return r, nil
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

func (in *reader) text() string {
	length, n := binary.Uvarint(in.data)
	if n <= 0 || length > uint64(len(in.data)-n) {
		in.failed = true
		return ""
	}
	s := string(in.data[n : n+int(length)])
	in.data = in.data[n+int(length):]
	return s
}
