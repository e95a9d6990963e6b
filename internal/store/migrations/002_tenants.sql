-- A counter per topic, raised in the same transaction as each change of it: other servers poll one row instead of the
-- tables, and read only rows whose version is above what they know.
CREATE TABLE changes (
    topic   TEXT PRIMARY KEY,
    version BIGINT NOT NULL
);

INSERT INTO changes (topic, version) VALUES ('tenants', 0);

CREATE TABLE orgs (
    name       TEXT PRIMARY KEY,
    models     TEXT NOT NULL, -- JSON list; empty = all
    state      TEXT NOT NULL, -- active or suspended
    created_at BIGINT NOT NULL,
    version    BIGINT NOT NULL
);

CREATE INDEX orgs_version ON orgs (version);

-- Rows are never deleted: a revoked token stays known as such.
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    sha256     BLOB NOT NULL UNIQUE,
    org        TEXT NOT NULL REFERENCES orgs (name),
    name       TEXT NOT NULL,
    scopes     TEXT NOT NULL, -- JSON list
    models     TEXT NOT NULL, -- JSON list; empty = all of the org's
    keepalive  TEXT NOT NULL, -- empty = the config's default
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    version    BIGINT NOT NULL
);

CREATE INDEX tokens_version ON tokens (version);
