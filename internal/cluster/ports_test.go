//go:build unix

package cluster

import (
	"net"
	"testing"
)

func TestBlock_ClustersDoNotMeet(t *testing.T) {
	owner := make(map[int]int) // port -> number of the cluster
	take := func(cluster, port int) {
		if other, taken := owner[port]; taken {
			t.Errorf("port %d is of cluster %d and of cluster %d", port, other, cluster)
		}
		owner[port] = cluster
	}
	for cluster := range 3 {
		b, err := takeBlock()
		if err != nil {
			t.Fatal(err)
		}
		defer b.release()
		take(cluster, b.lock.Addr().(*net.TCPAddr).Port)
		for range 7 * (mostNodes + 1) {
			port, err := b.next()
			if err != nil {
				t.Fatal(err)
			}
			take(cluster, port)
		}
		for node := 1; node <= mostNodes; node++ {
			low, high := b.dynamic(node)
			for port := low; port <= high; port++ {
				take(cluster, port)
			}
			if high >= b.low+blockSize {
				t.Errorf("node %d has ports up to %d, beyond its block", node, high)
			}
		}
	}
}

func TestBlock_IsNotTakenWhereAPortIsInUse(t *testing.T) {
	first, err := takeBlock()
	if err != nil {
		t.Fatal(err)
	}
	left, err := net.Listen("tcp", loopback(first.low+5)) // as an agent of a killed test would
	first.release()
	if err != nil {
		t.Fatal(err)
	}
	defer left.Close()
	second, err := takeBlock()
	if err != nil {
		t.Fatal(err)
	}
	defer second.release()
	if second.low == first.low {
		t.Errorf("the block at %d is taken although a port of it is in use", first.low)
	}
}

func TestBlock_EndsBeforeTheEngines(t *testing.T) {
	b, err := takeBlock()
	if err != nil {
		t.Fatal(err)
	}
	defer b.release()
	low, _ := b.dynamic(1)
	for {
		port, err := b.next()
		if err != nil {
			return
		}
		if port >= low {
			t.Fatalf("port %d is an agent's and an engine's", port)
		}
	}
}

func TestWriter_WellKnownPortsWhereFree(t *testing.T) {
	b, err := takeBlock()
	if err != nil {
		t.Fatal(err)
	}
	defer b.release()
	taken, err := net.Listen("tcp", loopback(b.low+agentPorts-1))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, row := range []struct {
		name  string
		known bool
		port  int
		want  bool
	}{
		{"free", true, b.low + agentPorts - 2, true},
		{"busy", true, b.low + agentPorts - 1, false},
		{"not asked for", false, b.low + agentPorts - 2, false},
	} {
		w := writer{cluster: &Cluster{ports: b}, cfg: Config{WellKnown: row.known}}
		if got := w.known(row.port) == row.port; got != row.want || w.err != nil {
			t.Errorf("%s: got the well-known port %t, error %v; want %t", row.name, got, w.err, row.want)
		}
	}
}
