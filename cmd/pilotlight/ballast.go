package main

// ballastSize is what a server adds to the heap that the garbage collector sees. Without it the heap of a busy server is so small
// that a collection comes after every few megabytes; with it, one comes after so many bytes more. A percentage (GOGC) would do the same
// for a small heap, but would let the garbage of a large one, with ten thousand requests waiting, grow to many times that.
const ballastSize = 32 << 20

// newBallast gives memory to be kept alive while a server runs. It is never touched, so that it costs addresses and no memory. An
// operator who has set a goal for the collector gets that goal.
func newBallast(getenv func(string) string) []byte {
	if getenv("GOGC") != "" || getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return make([]byte, ballastSize)
}
