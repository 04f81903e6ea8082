-- A covering index of the calls whose cost is unknown, for counting them.

CREATE INDEX IF NOT EXISTS usage_unpriced ON usage_history (timestamp, provider, model, cost, tokens_input, tokens_output, status)
WHERE cost IS NULL;
