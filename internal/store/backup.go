package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup writes the SQLite file at path, as it is at one moment, to a new file that its owner alone can read, while servers go on writing. The copy is
// whole, compact and on the disk when it returns; after an error it is not there. It changes nothing in the file, whatever version that is of.
func Backup(ctx context.Context, path, to string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("saving the store %s: %w", path, explain(err))
		}
	}()
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(abs); err != nil { // SQLite would make it
		return err
	}
	if err := checkFile(ctx, abs); err != nil {
		return err
	}
	copied, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, copied.Close()); err != nil {
			err = errors.Join(err, os.Remove(to))
		}
	}()
	db, err := sqliteFile{}.pool(abs, 1, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO $1", to); err != nil {
		return err
	}
	return copied.Sync()
}
