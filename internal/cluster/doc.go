// Package cluster runs a real Nomad and a real Consul on loopback, with simulated H100s, for tests and demos.
//
// It promises that what a test sees is what the released programs do: it builds them from their public Go modules (or takes
// those on the PATH), and simulates nothing but the GPUs. It never touches a cluster that it did not start, listens on
// loopback only, and leaves neither process, mount nor file behind when stopped.
package cluster
