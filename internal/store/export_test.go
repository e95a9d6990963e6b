package store

import "database/sql"

// Writer gives the writer's connection, to be looked at.
func (s *Store) Writer() *sql.DB { return s.writer }
