package router

import "sync"

const (
	smallestBuffer = 1 << 10
	// largestBuffer is the size up to which buffers are pooled. Larger ones live outside Go's heap, so that they are given
	// back to the system at once, not after the next collection.
	largestBuffer = 1 << 20
)

// buffer is memory that is given back by hand.
type buffer struct {
	b      []byte // as long as its capacity
	mapped bool
}

// buffers holds freed buffers of 1, 4, 16, 64, 256 KiB and 1 MiB.
var buffers [6]sync.Pool

func bufferClass(size int) (class, capacity int) {
	capacity = smallestBuffer
	for capacity < size {
		capacity *= 4
		class++
	}
	return class, capacity
}

// acquireBuffer gives a buffer of at least size bytes. It fails only where the system has no memory to map.
func acquireBuffer(size int) (*buffer, error) {
	if size > largestBuffer {
		b, err := mapMemory(size)
		if err != nil {
			return nil, err
		}
		return &buffer{b: b, mapped: true}, nil
	}
	class, capacity := bufferClass(size)
	if m, ok := buffers[class].Get().(*buffer); ok {
		return m, nil
	}
	return &buffer{b: make([]byte, capacity)}, nil
}

// releaseBuffer gives a buffer back; nil is nothing to give.
func releaseBuffer(m *buffer) {
	switch {
	case m == nil:
	case m.mapped:
		unmapMemory(m.b)
	default:
		class, _ := bufferClass(len(m.b))
		buffers[class].Put(m)
	}
}
