-- seq is the order of insertion, which is what "oldest first" and cursors mean: a record that arrives late comes after
-- those that an exporter has already read.
CREATE TABLE usage_records (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT NOT NULL UNIQUE,
    request_id        TEXT NOT NULL, -- empty: the id
    kind              TEXT NOT NULL,
    org               TEXT NOT NULL,
    token_id          TEXT NOT NULL,
    model             TEXT NOT NULL,
    instance          TEXT NOT NULL,
    gpus              BIGINT NOT NULL,
    start             TEXT NOT NULL,
    received_at       BIGINT NOT NULL,
    dispatched_at     BIGINT NOT NULL,
    queue_us          BIGINT NOT NULL,
    activate_us       BIGINT NOT NULL,
    ttft_us           BIGINT NOT NULL,
    upstream_us       BIGINT NOT NULL,
    billed_us         BIGINT NOT NULL,
    prompt_tokens     BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    price_nano_usd    BIGINT NOT NULL, -- per GPU-hour
    cost_nano_usd     BIGINT NOT NULL,
    status            TEXT NOT NULL
);

-- Each index costs every record more than a tenth of its way into the table, so there are only those that keep a query from
-- reading other orgs' or other months' rows. Every index of SQLite ends in seq, so the first one also gives an org's
-- records in their order; the last one holds only requests that were named by their callers.
CREATE INDEX usage_records_org ON usage_records (org);
CREATE INDEX usage_records_dispatched ON usage_records (dispatched_at);
CREATE INDEX usage_records_receipt ON usage_records (token_id, request_id) WHERE request_id <> '';
