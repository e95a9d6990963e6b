//go:build unix

package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports lie below the range from which systems take those of outgoing connections, which would otherwise take one before an
// agent or an engine does. Those of agents are apart from those that nodes hand out.
const (
	agentLow, agentHigh   = 15000, 20000
	engineLow, engineHigh = 20000, 32000
	engineBlock           = 250 // of one node
)

var errNoPort = errors.New("no port is free")

// freePort finds a port that nobody listens on, TCP or UDP.
func freePort() (int, error) {
	for range 1000 {
		if port := agentLow + rand.IntN(agentHigh-agentLow); free(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("between %d and %d: %w", agentLow, agentHigh, errNoPort)
}

func free(port int) bool {
	addr := loopback(port)
	stream, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	stream.Close()
	packets, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	packets.Close()
	return true
}

// claimBlock takes a block of ports for the engines of one node: those of other clusters on this machine, which other test binaries may
// have started, take others while the claim is held. The block begins after the claim's own port.
func claimBlock() (claim net.Listener, err error) {
	blocks := (engineHigh - engineLow) / engineBlock
	for _, n := range rand.Perm(blocks) {
		if claim, err = net.Listen("tcp", loopback(engineLow+n*engineBlock)); err == nil {
			return claim, nil
		}
	}
	return nil, fmt.Errorf("between %d and %d: %w", engineLow, engineHigh, errNoPort)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
