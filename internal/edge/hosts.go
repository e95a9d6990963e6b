package edge

import (
	"net"
	"net/netip"
	"time"
)

// hosts counts connections by the address that they come from. It is guarded by its Connections' mu.
type hosts struct {
	max     int // connections in all; 0 = no limit
	perHost int // of one address
	open    int
	of      map[netip.Prefix]*host
	largest *host // that had most when it was last looked at
}

// host is one address with its connections in a ring, roughly from the one that was accepted first.
type host struct {
	from  netip.Prefix
	open  int
	first *Conn // whose prev is the last
}

// An address may take three quarters of all connections: behind a balancer all callers have the same.
func newHosts(limit int) hosts {
	return hosts{max: limit, perHost: max(limit-limit/4, min(limit, 1)), of: make(map[netip.Prefix]*host)}
}

// looks is how many connections are looked at for a silent one.
const looks = 64

// admit counts c, and gives the silent connection that has to be closed in its stead. It is false where there is none and no room.
func (h *hosts) admit(c *Conn) (silent *Conn, ok bool) {
	from := origin(c.RemoteAddr())
	if h.max > 0 {
		if silent, ok = h.makeRoom(from); !ok {
			return nil, false
		}
	}
	at := h.of[from]
	if at == nil {
		at = &host{from: from}
		h.of[from] = at
	}
	h.open++
	at.open++
	at.append(c)
	c.host = at
	if h.largest == nil || at.open > h.largest.open {
		h.largest = at
	}
	return silent, true
}

func (h *hosts) makeRoom(from netip.Prefix) (silent *Conn, ok bool) {
	switch at := h.of[from]; {
	case at != nil && at.open >= h.perHost:
		silent = at.silent()
	case h.open >= h.max:
		silent = h.silent()
	default:
		return nil, true
	}
	if silent != nil {
		h.forget(silent)
	}
	return silent, silent != nil
}

// silent gives a silent connection of the address that has most, else of the largest of some others.
func (h *hosts) silent() *Conn {
	if c := h.most().silent(); c != nil {
		return c
	}
	var next *host
	tries := looks
	for _, at := range h.of {
		if tries--; tries < 0 {
			break
		}
		if (next == nil || at.open > next.open) && at.candidate() != nil {
			next = at
		}
	}
	if next == nil {
		return nil
	}
	return next.silent()
}

// most gives the address with most connections, as far as it has to be known: one that has more than its part of all.
func (h *hosts) most() *host {
	if h.of[h.largest.from] != h.largest || h.largest.open*len(h.of) <= h.open {
		for _, at := range h.of {
			if at.open > h.largest.open {
				h.largest = at
			}
		}
	}
	return h.largest
}

// forget uncounts c. It may be called again.
func (h *hosts) forget(c *Conn) {
	at := c.host
	if at == nil {
		return
	}
	at.remove(c)
	c.host = nil
	h.open--
	if at.open--; at.open == 0 {
		delete(h.of, at.from)
	}
}

func (h *host) append(c *Conn) {
	if h.first == nil {
		h.first, c.next, c.prev = c, c, c
		return
	}
	c.next, c.prev = h.first, h.first.prev
	c.prev.next, c.next.prev = c, c
}

func (h *host) remove(c *Conn) {
	if c.next == c {
		h.first = nil
	} else {
		if h.first == c {
			h.first = c.next
		}
		c.prev.next, c.next.prev = c.next, c.prev
	}
	c.next, c.prev = nil, nil
}

// silent gives a connection without a request, and makes sure that none begins.
func (h *host) silent() *Conn {
	for c := h.candidate(); c != nil; c = h.candidate() {
		if c.seal() {
			return c
		}
	}
	return nil
}

// candidate looks for a connection without a request: for one that never had one, before others.
func (h *host) candidate() *Conn {
	var rested *Conn
	for range min(h.open, looks) {
		c := h.first
		switch c.stage.Load() {
		case fresh:
			return c
		case resting:
			if rested == nil {
				rested = c
			}
		}
		h.first = c.next // c is the last now
	}
	return rested
}

// origin is where a connection comes from: an address, or the 64 bits of IPv6 that one customer has. What has no address is all from one place.
func origin(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// fullAnswer is all that is said to a connection for which there is no room. Stock clients try again.
const fullAnswer = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 144\r\n\r\n" +
	`{"error":{"message":"The server has as many connections as it can hold. Please retry.","type":"server_error","param":null,"code":"overloaded"}}` + "\n"

// turnAway closes a connection. Over TLS nothing is said: a handshake would cost more than what there is no room for.
func (w *Connections) turnAway(c net.Conn) {
	if w.c.TLS == nil {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // an empty buffer takes it at once
		_, _ = c.Write([]byte(fullAnswer))
	}
	_ = c.Close()
}
