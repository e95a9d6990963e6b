//go:build unix

package private_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/private"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name   string
		make   func(path string) error
		check  func(path string) error
		want   string // "" = in order
		asRoot bool
	}{
		{name: "own", make: file(0o600), check: private.Check},
		{name: "readable", make: file(0o644), check: private.Check},
		{name: "missing", make: func(string) error { return nil }, check: private.Check},
		{name: "group-writable", make: file(0o660), check: private.Check, want: "(mode 0660): chmod go-w "},
		{name: "world-writable", make: file(0o602), check: private.Check, want: "(mode 0602): chmod go-w "},
		{name: "link", make: func(path string) error { return os.Symlink("/etc/hostname", path) }, check: private.Check, want: "is a link"},
		{name: "dangling link", make: func(path string) error { return os.Symlink("/nowhere", path) }, check: private.Check, want: "is a link"},
		{name: "foreign", make: func(path string) error { return chowned(path, file(0o600)) }, check: private.Check, want: "belongs to the user 12345", asRoot: true},
		{name: "open directory", make: func(path string) error { return directory(path, 0o777) }, check: private.CheckTree, want: "(mode 0777): chmod go-w "},
		{name: "missing directory", make: func(string) error { return nil }, check: private.CheckTree},
		{name: "tree", make: func(path string) error { return tree(path, 0o600) }, check: private.CheckTree},
		{name: "tree with an open file", make: func(path string) error { return tree(path, 0o666) }, check: private.CheckTree, want: "a/b can be written to by others"},
		{name: "secret", make: file(0o600), check: private.CheckSecret},
		{name: "missing secret", make: func(string) error { return nil }, check: private.CheckSecret},
		{name: "readable secret", make: file(0o640), check: private.CheckSecret, want: "can be read by others (mode 0640)"},
		{name: "writable secret", make: file(0o620), check: private.CheckSecret, want: "can be written to by others"},
		{name: "key", make: file(0o600), check: private.CheckKey},
		{name: "missing key", make: func(string) error { return nil }, check: private.CheckKey, want: "no such file"},
		{name: "key that all may read", make: file(0o604), check: private.CheckKey, want: "(mode 0604)"},
		{name: "key that a group may write", make: file(0o620), check: private.CheckKey, want: "(mode 0620)"},
		{name: "key of root's that a group may read", make: file(0o640), check: private.CheckKey, asRoot: true},
		{name: "key of another's", make: func(path string) error { return chowned(path, file(0o600)) }, check: private.CheckKey, want: "belongs to the user 12345", asRoot: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.asRoot && os.Geteuid() != 0 {
				t.Skip("only root can give files away: run the tests as root, too")
			}
			path := filepath.Join(dir, tt.name)
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			err := tt.check(path)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func file(mode os.FileMode) func(string) error {
	return func(path string) error {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		return os.Chmod(path, mode) // whatever the umask
	}
}

func chowned(path string, create func(string) error) error {
	if err := create(path); err != nil {
		return err
	}
	return os.Chown(path, 12345, -1)
}

func directory(path string, mode os.FileMode) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

func tree(path string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Join(path, "a"), 0o700); err != nil {
		return err
	}
	return file(mode)(filepath.Join(path, "a", "b"))
}
