package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Errors of Open. They are wrapped with the file's path and what to do.
var (
	ErrNewer      = errors.New("the file was written by a newer Pilotlight")
	ErrForeign    = errors.New("the file belongs to another program")
	ErrCorrupt    = errors.New("the file is damaged or not an SQLite database")
	ErrUnwritable = errors.New("the file cannot be written")
)

// Store is one open database file. It is safe for concurrent use.
type Store struct {
	db *sql.DB
}

// Open opens or creates the database file at path and brings its tables up to date.
func Open(ctx context.Context, path string) (*Store, error) { panic("unfinished") }

// DB gives the database to the packages that own tables in it: tenant and ledger.
func (s *Store) DB() *sql.DB { return s.db }

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Learned gives what SaveLearned has kept, ordered by model and tier.
func (s *Store) Learned(ctx context.Context) ([]fleet.Learned, error) { panic("unfinished") }

// SaveLearned replaces what is kept of one model and tier.
func (s *Store) SaveLearned(ctx context.Context, l fleet.Learned) error { panic("unfinished") }

// Settings gives the settings of one scope, such as "pool/h100", by key.
func (s *Store) Settings(ctx context.Context, scope string) (map[string]string, error) {
	panic("unfinished")
}

// SaveSetting keeps one setting; an empty value removes it.
func (s *Store) SaveSetting(ctx context.Context, scope, key, value string) error {
	panic("unfinished")
}
