-- What operators tuned and what past activations taught.
CREATE TABLE settings (
    scope TEXT NOT NULL, -- such as pool/h100
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (scope, name)
);

CREATE TABLE learned (
    model     TEXT NOT NULL,
    from_tier TEXT NOT NULL, -- parked or cold
    durations TEXT NOT NULL, -- JSON list of nanoseconds, newest last
    PRIMARY KEY (model, from_tier)
);
