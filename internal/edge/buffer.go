package edge

import "sync"

const (
	smallestBuffer = 1 << 10
	// largestBuffer is the size up to which buffers are pooled. Larger ones live outside Go's heap, so that they are given
	// back to the system at once, not after the next collection.
	largestBuffer = 1 << 20
)

// Buffer is memory that is given back by hand.
type Buffer struct {
	B      []byte // as long as its capacity
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

// AcquireBuffer gives a buffer of at least size bytes. It fails only where the system has no memory to map.
func AcquireBuffer(size int) (*Buffer, error) {
	if size > largestBuffer {
		b, err := mapMemory(size)
		if err != nil {
			return nil, err
		}
		return &Buffer{B: b, mapped: true}, nil
	}
	class, capacity := bufferClass(size)
	if m, ok := buffers[class].Get().(*Buffer); ok {
		return m, nil
	}
	return &Buffer{B: make([]byte, capacity)}, nil
}

// Release gives a buffer back; nil is nothing to give.
func (m *Buffer) Release() {
	switch {
	case m == nil:
	case m.mapped:
		unmapMemory(m.B)
	default:
		class, _ := bufferClass(len(m.B))
		buffers[class].Put(m)
	}
}
