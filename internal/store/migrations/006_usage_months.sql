-- Sums of months: of the days of each before the one in usage_summed. Days from that one on are in usage_days only.
CREATE TABLE usage_months (
    month             BIGINT NOT NULL, -- since January 1970, UTC
    org               TEXT NOT NULL,
    token_id          TEXT NOT NULL,
    model             TEXT NOT NULL,
    requests          BIGINT NOT NULL,
    prompt_tokens     BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    billed_us         BIGINT NOT NULL,
    gpu_us            BIGINT NOT NULL,
    cost_nano_usd     BIGINT NOT NULL,
    PRIMARY KEY (month, org, token_id, model)
) WITHOUT ROWID;

CREATE TABLE usage_summed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    day BIGINT NOT NULL -- since 1970, UTC
);

INSERT INTO usage_summed (one, day) SELECT 1, COALESCE(MIN(day), 0) FROM usage_days;
