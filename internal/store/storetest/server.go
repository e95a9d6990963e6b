//go:build unix

package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// ErrMissing says that there are no programs of Postgres.
var ErrMissing = errors.New("there is no PostgreSQL; apt-get install postgresql")

const (
	startWithin  = 60 * time.Second
	templateName = "pilotlight_template" // with the tables of this version
)

// Server is a Postgres server of a test, on a socket in a directory of its own. It ends with the test binary, however that ends.
type Server struct {
	dir     string
	bin     string
	as      *syscall.SysProcAttr
	process *exec.Cmd
	life    io.Closer // the server lives as long as this is open
	out     bytes.Buffer
	number  atomic.Int64
	prepare sync.Once
}

// Start starts a server. It refuses to run as root, so it runs as the user postgres, or nobody, then.
func Start() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pilotlight-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin}
	if err := errors.Join(s.unprivileged(), s.init(), s.Restart()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// ServerOf starts a server for one test, which is skipped where there is none; Close is called with the test's end.
func ServerOf(t testing.TB) *Server {
	t.Helper()
	s, err := Start()
	if errors.Is(err, ErrMissing) && os.Getenv("PILOTLIGHT_REQUIRE") != "all" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// programs gives the directory of initdb and postgres: the one of PATH, or the newest of Debian's.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.Join(ErrMissing, err)
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

func version(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb)))) // another name is the oldest
	return n
}

func (s *Server) unprivileged() error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return errors.Join(err1, err2, os.Chown(s.dir, uid, gid))
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "LC_ALL=C.UTF-8")
	if s.as != nil {
		as := *s.as
		cmd.SysProcAttr = &as
	}
	return cmd
}

func (s *Server) init() error {
	out, err := s.command(filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// settings keep it small and quick. What is lost when the machine loses power is the test's alone.
var settings = map[string]string{
	"listen_addresses": "", "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "64MB",
	"max_connections": "300", "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "256MB",
}

// Restart starts a server that was stopped, with its databases.
func (s *Server) Restart() error {
	args := []string{"-c", `"$0" "$@" & read -r _; kill -INT $!; wait`, filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.dir}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	s.process = s.command("/bin/sh", args...)
	s.process.Stdout, s.process.Stderr = &s.out, &s.out
	life, err := s.process.StdinPipe()
	if err != nil {
		return err
	}
	s.life = life
	if err := s.process.Start(); err != nil {
		return err
	}
	until := time.Now().Add(startWithin)
	for {
		conn, err := pgx.Connect(context.Background(), s.URL("postgres"))
		if err == nil {
			return conn.Close(context.Background())
		}
		if time.Now().After(until) {
			return errors.Join(fmt.Errorf("the server does not start: %w", err), s.Stop())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// URL gives the URL of a database.
func (s *Server) URL(database string) string {
	return "postgres://postgres@/" + url.PathEscape(database) + "?host=" + url.QueryEscape(s.dir)
}

// Database makes a database with the tables of this version, and gives its URL. It is removed with the test.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	var failed error
	s.prepare.Do(func() { failed = s.template() })
	if failed != nil {
		t.Fatal("making the template of databases: ", failed)
	}
	return s.create(t, templateName)
}

// Empty makes a database without tables.
func (s *Server) Empty(t testing.TB) string { return s.create(t, "template0") }

func (s *Server) create(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", s.number.Add(1))
	if err := s.Exec("postgres", "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Exec("postgres", "DROP DATABASE "+name+" WITH (FORCE)") }) // a server that was stopped has none
	return s.URL(name)
}

// template makes the database that others are copies of. Its own order of texts is people's, where the server knows that: ours must not depend on it.
func (s *Server) template() error {
	err := s.Exec("postgres", "CREATE DATABASE "+templateName+" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
	if err != nil {
		err = s.Exec("postgres", "CREATE DATABASE "+templateName+" TEMPLATE template0")
	}
	if err != nil {
		return err
	}
	made, err := store.OpenPostgres(context.Background(), s.URL(templateName))
	if err != nil {
		return err
	}
	return made.Close()
}

// Exec runs statements in a database.
func (s *Server) Exec(database, statements string) error {
	conn, err := pgx.Connect(context.Background(), s.URL(database))
	if err != nil {
		return err
	}
	_, err = conn.Exec(context.Background(), statements)
	return errors.Join(err, conn.Close(context.Background()))
}

// Signal sends a signal to all processes of the server: SIGSTOP has it hang, SIGCONT go on.
func (s *Server) Signal(signal syscall.Signal) error {
	pid, err := s.pid()
	if err != nil {
		return err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	errs := []error{err, syscall.Kill(pid, signal)}
	for _, child := range strings.Fields(string(children)) {
		n, err := strconv.Atoi(child)
		errs = append(errs, err, syscall.Kill(n, signal))
	}
	return errors.Join(errs...)
}

func (s *Server) pid() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(first)
}

// Stop ends the server as a restart of its machine does: open transactions are undone.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	_ = s.Signal(syscall.SIGCONT) // it may hang, or be gone
	err := s.life.Close()
	var exit *exec.ExitError
	if e := s.process.Wait(); !errors.As(e, &exit) {
		err = errors.Join(err, e)
	}
	s.process = nil
	return err
}

// Close stops the server and removes all of it.
func (s *Server) Close() error { return errors.Join(s.Stop(), os.RemoveAll(s.dir)) }
