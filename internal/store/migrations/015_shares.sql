-- Servers that share limits of requests at once. One whose beats stay the same for long is taken for gone.
CREATE TABLE share_servers (
    server TEXT PRIMARY KEY, -- ID that the directory of its log has
    beats  BIGINT NOT NULL
);

-- Limits that were ever shared: whoever changes shares of one writes its row first.
CREATE TABLE share_limits (
    org      TEXT NOT NULL,
    token_id TEXT NOT NULL, -- whose limit it is; '*' = the organisation's
    changes  BIGINT NOT NULL,
    PRIMARY KEY (org, token_id)
) WITHOUT ROWID;

-- How many requests at once each server may have of a limit. All together are the limit at most.
CREATE TABLE shares (
    org      TEXT NOT NULL,
    token_id TEXT NOT NULL,
    server   TEXT NOT NULL,
    share    BIGINT NOT NULL, -- requests
    lacks    BIGINT NOT NULL, -- requests that wait there for more; 0 = none
    PRIMARY KEY (org, token_id, server)
) WITHOUT ROWID;
CREATE INDEX shares_server ON shares (server);
