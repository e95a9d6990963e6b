// Package socket reads and writes small pieces of TCP connections at the lowest cost that Go's own poller allows.
//
// Go's scheduler is told of every system call, since any may block. Where the kernel has taken the CPU from a thread within
// one, the runtime's monitor hands the thread's work to another thread, and keeps waking every 20 µs as long as it finds such
// cases, which a busy machine gives it always (runtime/proc.go, sysmon and retake). A call to a socket that does not block
// needs none of it. Here such calls are made without the scheduler's knowledge, like any computation; waiting, deadlines and
// Close are those of net.
//
// It never does so for pieces so large that copying them takes long, and never for connections that are no sockets.
package socket
