//go:build !linux

package edge

import "net"

// poller does not exist here: every connection is watched by reading ahead.
type poller struct{}

func newPoller() (*poller, error) { return nil, nil }

func (*poller) add(net.Conn, uint64) bool { return false }
func (*poller) drop(net.Conn)             {}
func (*poller) run(func(uint64))          {}
func (*poller) stop()                     {}
