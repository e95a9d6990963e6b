package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A segment is a header and frames:
//
//	header  "PLLEDGR" version(1) ID of the segment(26) CRC-32C of all before(4)
//	frame   marker(4) length(4) CRC-32C of length and payload(4) payload(length)     little endian
//	payload version(1) again(1), then the record's fields that are not empty, each with its tag: texts as length and bytes, numbers as varints
//	        3(1) place of the cut, as a varint, ID of the segment that is cut there: the first frames may be of this kind
//
// Behind the last frame are zeros, for a segment has its room from the beginning. The marker is no UTF-8, so that no text in a record can hold
// one: after damage, the next whole frame can be found. Payloads of version 1 had no tags, and all fields in their order; they stay readable, in
// blocks and runs too. again is 1 where another log, or with former Pilotlights the same, may hold the record already; else 0.
const (
	headerLen    = 38
	frameHeadLen = 12
	maxPayload   = 64 << 10

	segmentVersion = 1
	recordVersion  = 2
)

var (
	segmentMagic = []byte("PLLEDGR")
	frameMarker  = []byte{0xfe, 'P', 'L', 0xff}
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
)

var (
	errDamaged  = errors.New("damaged bytes")
	errCutShort = errors.New("the last record is cut short")
)

// segmentHeader makes the header of the segment with this ID, one of NewID.
func segmentHeader(id string) []byte {
	b := append(bytes.Clone(segmentMagic), segmentVersion)
	b = append(b, id...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readHeader gives the ID of the segment that begins with data, and where its frames begin. The ID of a damaged header is "",
// and so is that of one that a crash cut short: there is nothing after it.
func readHeader(data []byte) (id string, length int, err error) {
	known := data[:min(len(data), len(segmentMagic))]
	if len(data) < headerLen && bytes.HasPrefix(segmentMagic, known) {
		return "", len(data), nil
	}
	if zeros(data[:min(len(data), headerLen)]) { // allocated, and a power cut came before it was begun
		return "", min(len(data), headerLen), nil
	}
	if len(data) < headerLen || !bytes.Equal(known, segmentMagic) {
		return "", 0, fmt.Errorf("%w: no header at byte 0", errDamaged)
	}
	if version := data[len(segmentMagic)]; version > segmentVersion {
		return "", 0, fmt.Errorf("%w: a segment has version %d", ErrNewer, version)
	}
	body, sum := data[:headerLen-4], data[headerLen-4:headerLen]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(sum) {
		return "", headerLen, fmt.Errorf("%w in the header", errDamaged)
	}
	return string(body[len(segmentMagic)+1:]), headerLen, nil
}

// appendFrame appends a record's frame to b.
func appendFrame(b []byte, r *Record, again bool) []byte {
	start := len(b)
	return sealFrame(appendPayload(beginFrame(b), r, again), start)
}

// beginFrame appends the head of a frame, whose payload is to be appended.
func beginFrame(b []byte) []byte {
	b = append(b, frameMarker...)
	return append(b, make([]byte, frameHeadLen-len(frameMarker))...)
}

// sealFrame completes the head of the frame that begins at start and is the last of b.
func sealFrame(b []byte, start int) []byte {
	frame := b[start:]
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(frame)-frameHeadLen))
	binary.LittleEndian.PutUint32(frame[8:], frameSum(frame))
	return b
}

// fitting gives how many bytes the first whole frames have that fit into so many. All of frames are whole.
func fitting(frames []byte, room int) (n int) {
	if len(frames) <= room {
		return len(frames)
	}
	for {
		next := n + frameHeadLen + int(binary.LittleEndian.Uint32(frames[n+4:]))
		if next > room {
			return n
		}
		n = next
	}
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
	if len(data) < frameHeadLen || !bytes.HasPrefix(data, frameMarker) {
		return nil, false
	}
	length := binary.LittleEndian.Uint32(data[4:])
	if length > maxPayload || int(length) > len(data)-frameHeadLen {
		return nil, false
	}
	frame := data[:frameHeadLen+int(length)]
	return frame[frameHeadLen:], frameSum(frame) == binary.LittleEndian.Uint32(frame[8:])
}

// cutShort reports whether data can be the beginning of one frame and no more: what a crash leaves at the end, before the zeros of what was
// allocated. A frame of ours does not end with a zero.
func cutShort(data []byte) bool {
	written := bytes.TrimRight(data, "\x00")
	if len(written) < len(frameMarker) {
		return bytes.HasPrefix(frameMarker, written)
	}
	if !bytes.HasPrefix(written, frameMarker) {
		return false
	}
	if len(data) < frameHeadLen {
		return true
	}
	length := binary.LittleEndian.Uint32(data[4:])
	return length <= maxPayload && int(length) > len(written)-frameHeadLen
}

// zeros reports whether data is nothing but what was allocated.
func zeros(data []byte) bool { return len(bytes.TrimRight(data, "\x00")) == 0 }
