package handover

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// sameUser refuses a process of another user. Whoever may open the socket is that already where its directory is private; this holds where it is not.
func sameUser(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) { peer, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if asked != nil {
		return asked
	}
	if own := os.Getuid(); int(peer.Uid) != own && peer.Uid != 0 {
		return fmt.Errorf("%w: process %d is user %d's, and this one %d's", errStranger, peer.Pid, peer.Uid, own)
	}
	return nil
}
