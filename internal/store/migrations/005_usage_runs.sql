-- Usage records sorted by organisation. Blocks are what the log brings, of everybody, four a second; neighbours among them are made into
-- runs, one part for each organisation, so that nobody reads through the records of others. Older files' blocks become runs in the
-- background.
CREATE TABLE usage_runs (
    seq             INTEGER PRIMARY KEY, -- number of its first record, as a block's; the others follow
    records         BIGINT NOT NULL,
    dispatched_from BIGINT NOT NULL, -- microseconds since 1970, no more than a day apart
    dispatched_to   BIGINT NOT NULL
);
CREATE INDEX usage_runs_dispatched ON usage_runs (dispatched_to);

CREATE TABLE usage_parts (
    org             TEXT NOT NULL,
    seq             BIGINT NOT NULL, -- of its run
    records         BIGINT NOT NULL,
    dispatched_from BIGINT NOT NULL,
    dispatched_to   BIGINT NOT NULL,
    places          BLOB NOT NULL, -- of its records in the run: how many of others lie before each, as varints, then their CRC-32C
    data            BLOB NOT NULL, -- whole frames, as in a block
    UNIQUE (org, seq)
);
CREATE INDEX usage_parts_seq ON usage_parts (seq);
CREATE INDEX usage_parts_dispatched ON usage_parts (org, dispatched_to);

-- What of the log's segments lies in runs, as start_at and end_at of a block say it of a block.
CREATE TABLE usage_extents (
    segment       TEXT NOT NULL,
    start_at      BIGINT NOT NULL,
    end_at        BIGINT NOT NULL,
    dispatched_to BIGINT NOT NULL,
    PRIMARY KEY (segment, end_at)
) WITHOUT ROWID;
CREATE INDEX usage_extents_dispatched ON usage_extents (dispatched_to);
