-- Sums of usage_history by UTC day (YYYY-MM-DD), updated with each batch, so that queries over years stay fast.
-- successes: calls with a status below 400.

CREATE TABLE usage_daily (
  day TEXT NOT NULL,
  provider TEXT NOT NULL DEFAULT '',
  model TEXT NOT NULL DEFAULT '',
  connection_id TEXT NOT NULL DEFAULT '',
  api_key_id TEXT NOT NULL DEFAULT '',
  api_key_name TEXT NOT NULL DEFAULT '',
  requests INTEGER NOT NULL DEFAULT 0,
  successes INTEGER NOT NULL DEFAULT 0,
  tokens_input INTEGER NOT NULL DEFAULT 0,
  tokens_output INTEGER NOT NULL DEFAULT 0,
  cost REAL NOT NULL DEFAULT 0,
  duration_ms REAL NOT NULL DEFAULT 0,
  first_used TEXT NOT NULL DEFAULT '',
  last_used TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (day, provider, model, connection_id, api_key_id, api_key_name)
) WITHOUT ROWID;

INSERT INTO usage_daily (day, provider, model, connection_id, api_key_id, api_key_name, requests, successes, tokens_input,
  tokens_output, cost, duration_ms, first_used, last_used)
SELECT substr(timestamp, 1, 10), ifnull(provider, ''), ifnull(model, ''), ifnull(connection_id, ''), ifnull(api_key_id, ''),
  ifnull(api_key_name, ''), count(*), sum(ifnull(CAST(status AS INTEGER), 0) < 400), CAST(total(tokens_input) AS INTEGER),
  CAST(total(tokens_output) AS INTEGER), total(cost), total(duration_ms), min(timestamp), max(timestamp)
FROM usage_history GROUP BY 1, 2, 3, 4, 5, 6;
