package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// User is whom engines run as.
type User struct {
	Name     string
	UID, GID uint32
}

// SupervisorsOwn is the name of the user that the supervisor itself runs as, whoever that is.
const SupervisorsOwn = "same"

// defaultUser has no rights on any machine, and exists on every one.
const (
	defaultUser = "nobody"
	defaultID   = "65534" // of the user and of its group, by convention
)

// LookUpUser gives whom engines are to run as, nil for whom this process runs as. name is that of a user or its number, "same", or "" for the
// default: nobody where this process is root's, else the same. Only root can choose another.
func LookUpUser(name string) (*User, error) {
	own := os.Geteuid()
	switch {
	case name == SupervisorsOwn, name == "" && own != 0:
		return nil, nil
	case name == "":
		name = defaultUser
	}
	u, err := user.Lookup(name)
	if _, bad := strconv.ParseUint(name, 10, 32); err != nil && bad == nil {
		u, err = user.LookupId(name)
	}
	if err != nil && name == defaultUser {
		u, err = &user.User{Username: defaultUser, Uid: defaultID, Gid: defaultID}, nil // an image may list nobody at all
	}
	if err != nil {
		return nil, fmt.Errorf("engines are to run as the user %q, and this machine has none: %w; name another, or %q for that of the supervisor", name, err, SupervisorsOwn)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("engines cannot run as the user %q: this system has no numbers for users", name)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("engines cannot run as the user %q: this system has no numbers for groups", name)
	}
	switch {
	case int(uid) == own:
		return nil, nil
	case own != 0:
		return nil, fmt.Errorf("engines cannot run as the user %q: only root can start them as somebody else; leave the user out, or run the supervisor as root", name)
	}
	return &User{Name: u.Username, UID: uint32(uid), GID: uint32(gid)}, nil
}

// CheckFiles tells where a model's program or weights are on this machine and the user may not read them; u may be nil. What is not there is somebody else's to find.
func (u *User) CheckFiles(m *fleet.Model) error {
	if u == nil {
		return nil
	}
	var paths []string
	if len(m.Engine.Command) > 0 {
		if program, err := exec.LookPath(m.Engine.Command[0]); err == nil {
			paths = append(paths, program)
		}
	}
	for _, path := range append(paths, m.Engine.Weights) {
		if !filepath.IsAbs(path) {
			continue
		}
		if err := mayOpen(u, path); errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("engines run as the user %q, who cannot read %s of %s; open it and all that leads to it, or name another user with engine_user (%q: this one)", u.Name, path, m.ID, SupervisorsOwn)
		}
	}
	return nil
}

// makeScratch makes the directories that engines write to, and gives what removes them. Where they run as somebody else, who cannot see into the slot's own, they
// are a new one among the system's temporary files.
func (s *Slot) makeScratch() (remove func(), err error) {
	if s.cfg.User == nil {
		return func() {}, nil
	}
	if err := os.Mkdir(os.TempDir(), 0o777|os.ModeSticky); err != nil && !errors.Is(err, fs.ErrExist) { // an image may have none
		return nil, fmt.Errorf("making the directory for temporary files: %w", err)
	}
	dir, err := os.MkdirTemp("", "pilotlight-engines-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for engines: %w", err)
	}
	s.temporary = dir
	remove = func() { os.RemoveAll(dir) }
	for _, name := range []string{"home", "gpus"} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			remove()
			return nil, fmt.Errorf("making a directory for engines: %w", err)
		}
		if err := os.Chown(path, int(s.cfg.User.UID), int(s.cfg.User.GID)); err != nil {
			remove()
			return nil, fmt.Errorf("giving a directory to the engines' user: %w", err)
		}
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		remove()
		return nil, fmt.Errorf("opening a directory for engines: %w", err)
	}
	return remove, nil
}

// scratch is the directory that engines may write below.
func (s *Slot) scratch() string {
	if s.cfg.User == nil {
		return s.cfg.Dir
	}
	return s.temporary
}

// asUser has the command run as the engines' user. Our own program may lie where that one cannot look, and is handed over as an open file; other programs, and what
// they load, have to be readable for it.
func (s *Slot) asUser(cmd *exec.Cmd) (done func(), err error) {
	done = func() {}
	if s.cfg.User == nil {
		return done, nil
	}
	setUser(cmd, s.cfg.User)
	if s.cfg.Self == "" || cmd.Path != s.cfg.Self {
		return done, nil
	}
	program, err := os.Open(s.cfg.Self)
	if err != nil {
		return done, err
	}
	cmd.Path = "/proc/self/fd/" + strconv.Itoa(3+len(cmd.ExtraFiles))
	cmd.ExtraFiles = append(cmd.ExtraFiles, program)
	return func() { program.Close() }, nil
}
