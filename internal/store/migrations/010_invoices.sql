-- Months that are closed, in order. A record is on the invoice of the first closing whose month is not before its own and whose up_to is
-- not below its number: so each is on one, whatever comes late, and no record needs a mark.
CREATE TABLE closings (
    month     BIGINT PRIMARY KEY, -- since January 1970, UTC
    up_to     BIGINT NOT NULL,    -- the greatest number that a record had; it grows with the month
    closed_at BIGINT NOT NULL,    -- microseconds since 1970
    closed_by TEXT NOT NULL
);

CREATE TABLE invoices (
    number BIGINT PRIMARY KEY, -- from 1, without gaps
    month  BIGINT NOT NULL REFERENCES closings (month),
    org    TEXT NOT NULL,
    body   TEXT NOT NULL, -- as the API shows it, in JSON
    UNIQUE (org, month)
);

-- Which records of an organisation's chains an invoice has: from a first to a last, and what others lie between. Chain '' is of records
-- that a version without chains has written.
CREATE TABLE invoice_chains (
    org          TEXT NOT NULL,
    chain        TEXT NOT NULL,
    month        BIGINT NOT NULL,
    first_number BIGINT NOT NULL,
    last_number  BIGINT NOT NULL,
    last_hash    TEXT NOT NULL,
    PRIMARY KEY (org, chain, month)
);

-- Corrections, noted before their records are appended: who retries gets the same one, and no two together credit more than was paid.
CREATE TABLE corrections (
    id              TEXT PRIMARY KEY, -- of its record
    idempotency_key TEXT NOT NULL UNIQUE,
    record          TEXT NOT NULL,   -- ID of the record that it corrects
    dispatched_at   BIGINT NOT NULL, -- of both, in microseconds since 1970
    asked           BIGINT NOT NULL, -- nano-dollars; 0 = all that was left
    credit          BIGINT NOT NULL,
    body            TEXT NOT NULL,   -- its record, as the API shows it
    appended        BIGINT NOT NULL  -- 1 = its record is in the log, or was
);
CREATE INDEX corrections_record ON corrections (record);
