package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a program on a pseudo-terminal of its own.
type terminal struct {
	master *os.File
	seen   *lockedBuffer
	ended  chan struct{} // closed once err is set
	err    error
}

// onTerminal starts the program with a terminal for all three of its files.
func onTerminal(t *testing.T, rows, columns uint16, env []string, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.Env = append(append(os.Environ(), asProgram+"=1", "TERM=xterm", "NO_COLOR="), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{master: master, seen: &lockedBuffer{}, ended: make(chan struct{})}
	go func() { // ends with the program, which the cleanup awaits
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			_, _ = term.seen.Write(buf[:n])
			if err != nil {
				break
			}
		}
		term.err = cmd.Wait()
		close(term.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-term.ended
	})
	return term
}

// shows waits until the terminal has been sent a text.
func (x *terminal) shows(t *testing.T, text string) {
	t.Helper()
	eventually(t, 10*time.Second, func() string {
		if strings.Contains(x.seen.String(), text) {
			return ""
		}
		return fmt.Sprintf("no %q in %q", text, x.seen)
	})
}

// ends waits for the end of the program, and gives its exit status.
func (x *terminal) ends(t *testing.T) int {
	t.Helper()
	select {
	case <-x.ended:
	case <-time.After(10 * time.Second):
		t.Fatalf("it does not end; it has shown %q", x.seen)
	}
	if x.err == nil {
		return 0
	}
	return x.err.(*exec.ExitError).ExitCode()
}

// serverOf are the variables of commands that talk to a server.
func serverOf(s *devServer) []string { return []string{addrVariable + "=" + s.Admin} }

func TestTop_OnATerminal(t *testing.T) {
	notQuick(t)
	s := startDev(t, t.TempDir(), "--sim-speed", "20", "--sim-load-time", "40s")
	top := onTerminal(t, 24, 100, serverOf(s), "top", "--every", "100ms", "--data-dir", s.DataDir)
	top.shows(t, screenOpen)
	top.shows(t, "8 models: 0 hot, 0 starting, 0 parked, 8 cold; 0 waiting, 0 in flight")
	top.shows(t, "\x1b[2mmeta-llama/Meta-Llama-3-8B-Instruct") // cold, in its colour
	ctx := t.Context()
	if _, err := s.admin(t).StartModel(ctx, greeted, time.Minute); err != nil {
		t.Fatal(err)
	}
	top.shows(t, "STARTING")
	top.shows(t, "loading")
	top.shows(t, "1 hot, 0 starting")
	top.shows(t, "#.......")
	before := strings.Count(top.seen.String(), "q quits")
	if err := unix.IoctlSetWinsize(int(top.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 12, Col: 40}); err != nil {
		t.Fatal(err)
	}
	top.shows(t, "arrows scroll")
	if before == 0 {
		t.Error("the last line does not say how to quit")
	}
	if _, err := top.master.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if code := top.ends(t); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	if !strings.HasSuffix(strings.TrimRight(top.seen.String(), "\r\n"), screenClose) {
		t.Errorf("the terminal was not given back: %q", top.seen.String()[max(0, len(top.seen.String())-100):])
	}
}

func TestTop_WithoutColours(t *testing.T) {
	s := startDev(t, t.TempDir(), "--sim-speed", "1000")
	top := onTerminal(t, 24, 100, append(serverOf(s), "NO_COLOR=1"), "top", "--data-dir", s.DataDir)
	top.shows(t, "Meta-Llama-3-8B-Instruct")
	if _, err := top.master.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	if code := top.ends(t); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	if strings.Contains(top.seen.String(), "m") && strings.Contains(top.seen.String(), "\x1b[2m") || strings.Contains(top.seen.String(), "\x1b[1m") {
		t.Errorf("there are colours in %q", top.seen)
	}
}

// TestTop_ServerGone: what is known stays, with why there is no newer, and a signal gives the terminal back.
func TestTop_ServerGone(t *testing.T) {
	s := startDev(t, t.TempDir(), "--sim-speed", "1000")
	top := onTerminal(t, 24, 200, serverOf(s), "top", "--every", "100ms", "--data-dir", s.DataDir)
	top.shows(t, "8 models")
	s.kill()
	top.shows(t, "no news since ")
	top.shows(t, "no server answers at "+s.Admin)
	if err := unix.IoctlSetPointerInt(int(top.master.Fd()), unix.TIOCSIG, int(unix.SIGTERM)); err != nil {
		if _, err := top.master.WriteString("q"); err != nil {
			t.Fatal(err)
		}
	}
	if code := top.ends(t); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	if !strings.Contains(top.seen.String(), screenClose) {
		t.Error("the terminal was not given back")
	}
}

// TestModelStart_ShowsPhasesLive: on a terminal each phase is one line that goes on until the phase has ended.
func TestModelStart_ShowsPhasesLive(t *testing.T) {
	notQuick(t)
	s := startDev(t, t.TempDir(), "--sim-speed", "20", "--sim-load-time", "30s")
	client, ctx := s.admin(t), t.Context()
	if _, err := client.StartModel(ctx, greeted, time.Minute); err != nil { // from it is known how long the next start takes
		t.Fatal(err)
	}
	is := func(state string) {
		eventually(t, 10*time.Second, func() string {
			m, err := client.Model(ctx, greeted)
			if err != nil || m.State != state {
				return fmt.Sprintf("it is not %s: %+v, %v", state, m, err)
			}
			return ""
		})
	}
	is("hot")
	if _, err := client.StopModel(ctx, greeted); err != nil {
		t.Fatal(err)
	}
	is("cold")
	start := onTerminal(t, 24, 120, serverOf(s), "model", "start", greeted, "--wait", "--data-dir", s.DataDir)
	if code := start.ends(t); code != 0 {
		t.Fatalf("exit status %d, want 0; it has shown %q", code, start.seen)
	}
	lines := strings.Split(start.seen.String(), "\n")
	find := func(phase string) string {
		for _, l := range lines {
			if strings.Contains(l, "s  "+phase) {
				return l
			}
		}
		t.Errorf("no line of phase %s in %q", phase, lines)
		return ""
	}
	loading := find("loading")
	if updates := strings.Count(loading, "\r"); updates < 5 {
		t.Errorf("the line of loading was written %d times, want it to go on: %q", updates, loading)
	}
	if !strings.Contains(loading, " left") {
		t.Errorf("no estimate in %q", loading)
	}
	final := loading[strings.LastIndex(strings.TrimRight(loading, "\r"), "\r")+1:]
	if strings.Contains(final, "left") {
		t.Errorf("what has ended is shown with an estimate: %q", final)
	}
	find("queued")
	find("hot")
}

// TestProgress_OfLongWork is shown on a terminal once it takes long, and is gone before what is printed.
func TestProgress_OfLongWork(t *testing.T) {
	var out lockedBuffer
	env := quietEnv()
	env.Stdout, env.Stderr, env.Progress = &out, &out, true
	if err := env.during(func() error {
		env.doing("recomputing sums")
		eventually(t, 10*time.Second, func() string {
			if strings.Contains(out.String(), "recomputing sums … 1s") {
				return ""
			}
			return "got " + out.String()
		})
		fmt.Fprintln(env.Stdout, "done")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if shown := out.String(); !strings.HasSuffix(shown, "\r"+strings.Repeat(" ", len("recomputing sums … 1s")-len("…")+1)+"\rdone\n") {
		t.Errorf("got %q, want the line gone before what is printed", shown)
	}
	out = lockedBuffer{}
	env.Progress = false
	if err := env.during(func() error { env.doing("x"); return nil }); err != nil || out.String() != "" {
		t.Errorf("off a terminal: got %q, %v", out.String(), err)
	}
}
