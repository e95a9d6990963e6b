-- seq is the order of insertion, which is what "oldest first" and cursors mean: a record that arrives late comes after
-- those that an exporter has already read.
CREATE TABLE usage_records (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT NOT NULL UNIQUE,
    request_id        TEXT NOT NULL,
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

CREATE INDEX usage_records_org ON usage_records (org, dispatched_at);
CREATE INDEX usage_records_org_seq ON usage_records (org, seq);
CREATE INDEX usage_records_dispatched ON usage_records (dispatched_at);
CREATE INDEX usage_records_receipt ON usage_records (token_id, request_id);
