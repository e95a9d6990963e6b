-- What each server's log has brought to the sums of usage_days, so that servers can share a budget: one row for each token, and one, token '*', for
-- the organisation. What was there before, or came from a server that did not say so, is of server ''.
CREATE TABLE usage_servers (
    day           BIGINT NOT NULL, -- since 1970, UTC
    org           TEXT NOT NULL,
    token_id      TEXT NOT NULL,
    server        TEXT NOT NULL, -- ID that the directory of its log has
    cost_nano_usd BIGINT NOT NULL,
    PRIMARY KEY (org, token_id, day, server)
) WITHOUT ROWID;
CREATE INDEX usage_servers_day ON usage_servers (day);

INSERT INTO usage_servers (day, org, token_id, server, cost_nano_usd)
SELECT day, org, token_id, '', SUM(CASE WHEN cost_nano_usd > 10000000000000000 THEN 10000000000000000 ELSE cost_nano_usd END)
FROM usage_days GROUP BY day, org, token_id;

INSERT INTO usage_servers (day, org, token_id, server, cost_nano_usd)
SELECT day, org, '*', '', SUM(cost_nano_usd) FROM usage_servers GROUP BY day, org;

-- Servers that share the store, and when each was last heard, by the store's clock.
CREATE TABLE quota_servers (
    server   TEXT PRIMARY KEY,
    heard_at BIGINT NOT NULL -- microseconds since 1970
);

-- Blocks of budgets: what a server may have spent in a period, in all. The blocks of all servers, and what others have spent, are the budget at most.
CREATE TABLE quota_blocks (
    org      TEXT NOT NULL,
    token_id TEXT NOT NULL,   -- whose budget it is; '*' = the organisation's
    from_day BIGINT NOT NULL, -- of the period, since 1970, UTC; to_day is not in it
    to_day   BIGINT NOT NULL,
    server   TEXT NOT NULL,
    granted  BIGINT NOT NULL, -- nano-dollars
    wished   BIGINT NOT NULL, -- the version of topic quota by which it has asked the others for what they do not need; 0 = never
    answered BIGINT NOT NULL, -- the greatest such version of the others that it has answered
    PRIMARY KEY (org, token_id, from_day, to_day, server)
) WITHOUT ROWID;

INSERT INTO changes (topic, version) VALUES ('quota', 0);
