//go:build linux

package chaos_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The network is one bridge, on which the test has an address, and each machine its own.
const (
	bridge = "chaos"
	here   = "10.77.0.254"
)

// machine is a network namespace and a disk of its own.
type machine struct {
	name, ip string
	disk     string // a file system of its own
}

// newBridge makes the network.
func newBridge(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, command("ip", "link", "set", "lo", "up"))
	must(t, command("ip", "link", "add", bridge, "type", "bridge"))
	must(t, command("ip", "addr", "add", here+"/24", "dev", bridge))
	must(t, command("ip", "link", "set", bridge, "up"))
}

// diskSize is what all that a machine keeps has room in.
const diskSize = "192m"

// newMachine makes a machine with an address and a disk.
func newMachine(t *testing.T, dir, name string, number int) *machine {
	t.Helper()
	m := &machine{name: name, ip: fmt.Sprint("10.77.0.", number), disk: filepath.Join(dir, name)}
	must(t, command("ip", "netns", "add", name))
	must(t, command("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name))
	must(t, command("ip", "link", "set", name, "master", bridge, "up"))
	must(t, command("ip", "-n", name, "link", "set", "lo", "up"))
	must(t, command("ip", "-n", name, "addr", "add", m.ip+"/24", "dev", "eth0"))
	must(t, command("ip", "-n", name, "link", "set", "eth0", "up"))
	must(t, os.Mkdir(m.disk, 0o755))
	must(t, syscall.Mount("tmpfs", m.disk, "tmpfs", 0, "mode=755,size="+diskSize))
	return m
}

// cut drops all that comes from other machines, or goes to them. A machine's own is not touched, nor what it has with the test.
func (m *machine) cut(others ...*machine) error {
	for _, o := range others {
		if err := m.iptables("-A", "INPUT", "-s", o.ip, "-j", "DROP"); err != nil {
			return err
		}
		if err := m.iptables("-A", "OUTPUT", "-d", o.ip, "-j", "DROP"); err != nil {
			return err
		}
	}
	return nil
}

// lose drops a share of all packets that come in.
func (m *machine) lose(share float64) error {
	return m.iptables("-A", "INPUT", "-i", "eth0", "-m", "statistic", "--mode", "random", "--probability", fmt.Sprintf("%.3f", share), "-j", "DROP")
}

// heal ends cut and lose.
func (m *machine) heal() error { return m.iptables("-F") }

func (m *machine) iptables(args ...string) error {
	return command("nsenter", append([]string{"--net=/run/netns/" + m.name, "iptables", "-w"}, args...)...)
}

// fill takes all the room of the machine's disk, until what it gives is called.
func (m *machine) fill() (free func() error, err error) {
	path := filepath.Join(m.disk, "full")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err := f.Write(block); err != nil { // there is room for less, or for none
			block = block[:len(block)/2]
		}
	}
	return func() error { return os.Remove(path) }, nil
}

// address is where the test reaches a port of the machine.
func (m *machine) address(port int) string { return net.JoinHostPort(m.ip, fmt.Sprint(port)) }

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
