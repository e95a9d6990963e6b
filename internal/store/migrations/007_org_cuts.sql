-- When an organisation's requests were last cut, in microseconds since 1970; NULL = never.
ALTER TABLE orgs ADD COLUMN cut_at INTEGER;
