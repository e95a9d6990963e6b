-- What operators, and organisations' own people, have done. Rows are only ever added; each holds the hash of itself and the one before.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY, -- from 1, without gaps
    at         BIGINT NOT NULL,     -- microseconds since 1970
    actor      TEXT NOT NULL,       -- name of an admin token, ID of an organisation's token, or a signal
    org        TEXT NOT NULL,       -- of the actor; empty = it is an operator
    via        TEXT NOT NULL,       -- api, console or signal
    source     TEXT NOT NULL,       -- address that the request came from; empty = it was none
    request_id TEXT NOT NULL,
    action     TEXT NOT NULL,       -- such as org.update
    subject    TEXT NOT NULL,       -- such as org/acme
    old_value  TEXT NOT NULL,       -- JSON, of what the act changed: before it
    new_value  TEXT NOT NULL,       -- after it
    error      TEXT NOT NULL,       -- why it was not done; empty = it was
    hash       BLOB NOT NULL
);
