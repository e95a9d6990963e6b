//go:build unix

package cluster

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// A block is the ports of one cluster. Blocks lie below the range from which systems take the ports of outgoing connections,
// which would otherwise take one before an agent does.
const (
	blocksLow   = 10000
	blocksHigh  = 32000
	blockSize   = 1000
	agentPorts  = 100 // of a block; the first is its lock
	dynamicEach = 75  // for the engines of each node
	mostNodes   = (blockSize - agentPorts) / dynamicEach
)

// block hands out ports that no other cluster on this machine uses, in whichever process.
type block struct {
	lock net.Listener // on the first port, for as long as the cluster lives
	low  int
	used int // agents' ports handed out
}

// takeBlock takes a block that no living cluster holds and of which no agent's port is in use, by what a killed test left running either.
func takeBlock() (*block, error) {
	for low := blocksLow; low < blocksHigh; low += blockSize {
		lock, err := net.Listen("tcp", loopback(low))
		if err != nil {
			continue
		}
		if allFree(low+1, low+agentPorts) {
			return &block{lock: lock, low: low}, nil
		}
		lock.Close()
	}
	return nil, fmt.Errorf("no %d ports between %d and %d are free", blockSize, blocksLow, blocksHigh)
}

func allFree(low, end int) bool {
	for port := low; port < end; port++ {
		if !free(port) {
			return false
		}
	}
	return true
}

// free reports whether nobody listens on the port, by TCP or UDP.
func free(port int) bool {
	stream, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	stream.Close()
	packets, err := net.ListenPacket("udp", loopback(port))
	if err != nil {
		return false
	}
	packets.Close()
	return true
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// next is a port for an agent.
func (b *block) next() (int, error) {
	b.used++
	if b.used >= agentPorts {
		return 0, errors.New("the cluster has more agents than ports")
	}
	return b.low + b.used, nil
}

// dynamic is the range of a node's engines; nodes count from 1.
func (b *block) dynamic(node int) (low, high int) {
	low = b.low + agentPorts + dynamicEach*(node-1)
	return low, low + dynamicEach - 1
}

// release gives the block back.
func (b *block) release() { b.lock.Close() }
