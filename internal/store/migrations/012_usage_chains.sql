-- The hash of the last record of each chain that has been moved, kept in the transaction that moves it. A chain is one server's and, in it, one
-- organisation's.
CREATE TABLE usage_chains (
    chain TEXT NOT NULL,
    org   TEXT NOT NULL,
    hash  BLOB NOT NULL,
    PRIMARY KEY (chain, org)
);
