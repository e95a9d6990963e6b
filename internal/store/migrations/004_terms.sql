-- The term of the newest server life of this store: one row, from the first life on.
CREATE TABLE terms (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    term BIGINT NOT NULL
);
