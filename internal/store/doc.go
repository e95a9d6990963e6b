// Package store opens the database and owns its one list of migrations, and the small tables that belong to no other
// package: settings that operators tuned, what was learned of past activations, and the term of the newest server life.
//
// It promises that what a write has returned from survives a power cut (SQLite in WAL mode with synchronous=FULL, Postgres with synchronous_commit), that
// the tables are those of this version when Open returns, and that a file of a newer version, of another program or a
// damaged one is refused untouched, by name. It never interprets usage or tokens (packages ledger and tenant do, over DB
// and Write), never locks the data directory (its caller does), and never starts a goroutine of its own.
//
// Times are kept as BIGINT microseconds since 1970 UTC, lists as JSON text and money as BIGINT nano-USD, so that the same
// SQL serves SQLite and Postgres; what differs is in dialect.
package store
