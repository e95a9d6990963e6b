//go:build linux

package slot

// ReadAs reads a file with another user's rights.
var ReadAs = readAs

// What the gauge of a machine reads.
var (
	ParseGPUs = parseGPUs
	ParseHost = parseHost
)
