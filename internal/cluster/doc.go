// Package cluster runs a real Nomad and a real Consul on loopback, with simulated H100s, for tests and demos; on request with a Docker
// engine, ACLs and TLS.
//
// It promises that what a test sees is what the released programs do: it builds them from their public Go modules (or takes
// those on the PATH), and simulates nothing but the GPUs, the runtime that hands them to containers, and the engine in TensorRT-LLM's
// image. It never touches a cluster, or a Docker, that it did not start, listens on loopback only, shares no port with another cluster on the
// machine, and leaves neither process, mount nor file behind when stopped.
package cluster
