-- Notices of events other than usage, each told once by its ID, and which webhooks they are still to be sent to.
CREATE TABLE notices (
    id    TEXT PRIMARY KEY,
    event TEXT NOT NULL,
    org   TEXT NOT NULL,
    at    BIGINT NOT NULL, -- microseconds since 1970
    data  TEXT NOT NULL    -- JSON
);

CREATE TABLE notice_deliveries (
    webhook TEXT NOT NULL,
    at      BIGINT NOT NULL,
    id      TEXT NOT NULL,
    PRIMARY KEY (webhook, at, id)
);
