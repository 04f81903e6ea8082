-- unpriced: calls whose cost is not known; those that failed without using tokens do not count.

ALTER TABLE usage_daily ADD COLUMN unpriced INTEGER NOT NULL DEFAULT 0;

UPDATE usage_daily SET unpriced = found.calls FROM (
  SELECT substr(timestamp, 1, 10) AS day, ifnull(provider, '') AS provider, ifnull(model, '') AS model,
    ifnull(connection_id, '') AS connection_id, ifnull(api_key_id, '') AS api_key_id,
    ifnull(api_key_name, '') AS api_key_name, count(*) AS calls
  FROM usage_history WHERE cost IS NULL AND (tokens_input > 0 OR tokens_output > 0 OR status = '200')
  GROUP BY 1, 2, 3, 4, 5, 6
) AS found
WHERE usage_daily.day = found.day AND usage_daily.provider = found.provider AND usage_daily.model = found.model
  AND usage_daily.connection_id = found.connection_id AND usage_daily.api_key_id = found.api_key_id
  AND usage_daily.api_key_name = found.api_key_name;
