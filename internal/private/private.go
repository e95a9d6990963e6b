// Package private tells whether files are this process's alone to change.
//
// It promises that what it passes is no link, belongs to the user that the process runs as, and can be written to by nobody else but root; its errors say which file is not
// so, and how to mend it. It never changes a file. Outside Unix, where files have no such owners and modes, it passes everything.
package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Check holds a file or a directory, not what is in it, against the promise. What does not exist is in order.
func Check(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return check(path, info)
}

// CheckTree is Check for a directory and everything in it.
func CheckTree(dir string) error {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return check(path, info)
	})
	if errors.Is(err, fs.ErrNotExist) { // of the directory, or of a file that was just removed
		return nil
	}
	return err
}

// CheckSecret is Check for a file that nobody else may read either.
func CheckSecret(path string) error {
	if err := Check(path); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err == nil && modes && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o): whoever has read it has the right it gives; replace it, and chmod 600 %s", path, info.Mode().Perm(), path)
	}
	return nil
}

func check(path string, info fs.FileInfo) error {
	switch owner, known := ownerOf(info); {
	case !known:
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a link: put the file itself there, or name the place that it leads to", path)
	case owner != os.Geteuid():
		return fmt.Errorf("%s belongs to the user %d, and this process is user %d: chown %d %s, or run it as the owner", path, owner, os.Geteuid(), os.Geteuid(), path)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written to by others (mode %04o): chmod go-w %s", path, info.Mode().Perm(), path)
	}
	return nil
}

// CheckKey is for the private key of a certificate, where others' programs put it: it may be a link, and may be root's, whose group may then read it, too.
func CheckKey(path string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	owner, known := ownerOf(info)
	if !known || !modes {
		return nil
	}
	forbidden := fs.FileMode(0o077)
	if owner == 0 {
		forbidden = 0o027
	}
	switch mode := info.Mode().Perm(); {
	case owner != 0 && owner != os.Geteuid():
		return fmt.Errorf("%s belongs to the user %d, and this process is user %d: chown %d %s", path, owner, os.Geteuid(), os.Geteuid(), path)
	case mode&forbidden != 0:
		return fmt.Errorf("%s can be read or written by others (mode %04o): whoever has read it can pass for this server; replace the key, and chmod 600 %s", path, mode, path)
	}
	return nil
}
