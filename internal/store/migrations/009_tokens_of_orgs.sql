-- An organisation lists its own tokens, oldest first.
CREATE INDEX tokens_org ON tokens (org, created_at, id);
