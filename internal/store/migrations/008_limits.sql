-- Limits of organisations and tokens; 0 = none. Money is in nano-USD.
ALTER TABLE orgs ADD COLUMN rpm BIGINT NOT NULL DEFAULT 0; -- requests a minute
ALTER TABLE orgs ADD COLUMN concurrency BIGINT NOT NULL DEFAULT 0; -- requests at once
ALTER TABLE orgs ADD COLUMN budget_nano_usd BIGINT NOT NULL DEFAULT 0; -- of one period
ALTER TABLE orgs ADD COLUMN budget_period TEXT NOT NULL DEFAULT 'monthly'; -- monthly, weekly or daily
ALTER TABLE orgs ADD COLUMN budget_soft BIGINT NOT NULL DEFAULT 0; -- 1 = going over it is told, not refused
ALTER TABLE orgs ADD COLUMN raise_nano_usd BIGINT NOT NULL DEFAULT 0; -- stands in the budget's place until raise_until
ALTER TABLE orgs ADD COLUMN raise_until BIGINT; -- microseconds since 1970; NULL = there is no raise
ALTER TABLE orgs ADD COLUMN raise_why TEXT NOT NULL DEFAULT '';

ALTER TABLE tokens ADD COLUMN rpm BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN concurrency BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN budget_nano_usd BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN budget_period TEXT NOT NULL DEFAULT 'monthly';
ALTER TABLE tokens ADD COLUMN budget_soft BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN raise_nano_usd BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN raise_until BIGINT;
ALTER TABLE tokens ADD COLUMN raise_why TEXT NOT NULL DEFAULT '';

-- When a token was last used, to the minute, in microseconds since 1970; NULL = never. Written without a new version: no server needs to read it.
ALTER TABLE tokens ADD COLUMN last_used_at BIGINT;
