-- Usage records in blocks: a block is a stretch of the write-ahead log, whole frames, as they lay there. Its place in the log
-- is what makes the move exact: what lies in a block is never moved again.
CREATE TABLE usage_blocks (
    seq             INTEGER PRIMARY KEY, -- number of its first record; the others follow. It is the order of arrival
    records         BIGINT NOT NULL,
    segment         TEXT NOT NULL,   -- random ID of the segment; a file that is copied keeps it, a new file has another
    start_at        BIGINT NOT NULL, -- bytes of the segment, end_at not included; blocks do not overlap
    end_at          BIGINT NOT NULL,
    dispatched_from BIGINT NOT NULL, -- microseconds since 1970, of its first and last dispatch, no more than two hours apart
    dispatched_to   BIGINT NOT NULL,
    data            BLOB NOT NULL,   -- compressed, in the S2 format
    UNIQUE (segment, end_at)
);
CREATE INDEX usage_blocks_dispatched ON usage_blocks (dispatched_to);

-- Which blocks may hold what is looked for. A key is a hash: of an org, of the beginning of IDs, of a token and the word by which
-- its caller named a request. What a block really holds is in its data.
CREATE TABLE usage_keys (
    key BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (key, seq)
) WITHOUT ROWID;

-- Sums of all blocks' records, added to in the transaction that brings a block.
CREATE TABLE usage_days (
    day               BIGINT NOT NULL, -- since 1970, UTC
    org               TEXT NOT NULL,
    token_id          TEXT NOT NULL,
    model             TEXT NOT NULL,
    requests          BIGINT NOT NULL,
    prompt_tokens     BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    billed_us         BIGINT NOT NULL,
    gpu_us            BIGINT NOT NULL,
    cost_nano_usd     BIGINT NOT NULL,
    PRIMARY KEY (day, org, token_id, model)
) WITHOUT ROWID;
