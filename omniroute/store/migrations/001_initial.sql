-- Tables and columns keep the names of earlier databases, so that one of them can be adopted as it is: missing columns are
-- added, unknown ones are kept.  Times are ISO 8601 UTC text unless the name says otherwise; JSON columns hold text.
-- Every column is nullable or has a default, because only such a column can be added to an existing table.

CREATE TABLE IF NOT EXISTS db_meta (key TEXT PRIMARY KEY, value TEXT);

CREATE TABLE IF NOT EXISTS provider_connections (
  id TEXT PRIMARY KEY,
  provider TEXT NOT NULL DEFAULT '',
  auth_type TEXT NOT NULL DEFAULT 'apikey',
  name TEXT,
  email TEXT,
  priority INTEGER NOT NULL DEFAULT 1,
  is_active INTEGER NOT NULL DEFAULT 1,
  access_token TEXT,
  refresh_token TEXT,
  expires_at TEXT,
  token_expires_at TEXT,
  scope TEXT,
  project_id TEXT,
  test_status TEXT NOT NULL DEFAULT 'unknown',
  error_code TEXT,
  last_error TEXT,
  last_error_at TEXT,
  last_error_type TEXT,
  last_error_source TEXT,
  backoff_level INTEGER NOT NULL DEFAULT 0,
  rate_limited_until TEXT,
  health_check_interval INTEGER,
  last_health_check_at TEXT,
  last_tested TEXT,
  api_key TEXT,
  id_token TEXT,
  provider_specific_data TEXT,
  expires_in INTEGER,
  display_name TEXT,
  global_priority INTEGER,
  default_model TEXT,
  token_type TEXT,
  consecutive_use_count INTEGER NOT NULL DEFAULT 0,
  rate_limit_protection INTEGER NOT NULL DEFAULT 0,
  last_used_at TEXT,
  created_at TEXT NOT NULL DEFAULT '',
  updated_at TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS connections_by_provider ON provider_connections (provider, priority);

CREATE TABLE IF NOT EXISTS provider_nodes (
  id TEXT PRIMARY KEY,
  type TEXT NOT NULL DEFAULT 'openai-compatible',
  name TEXT NOT NULL DEFAULT '',
  prefix TEXT,
  api_type TEXT,
  base_url TEXT,
  created_at TEXT NOT NULL DEFAULT '',
  updated_at TEXT NOT NULL DEFAULT ''
);

-- value: JSON.  Namespaces: settings, modelAliases, customModels, pricing, proxyConfig, cliToolLastConfig, cliToolInitialConfig
CREATE TABLE IF NOT EXISTS key_value (
  namespace TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (namespace, key)
);

CREATE TABLE IF NOT EXISTS combos (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  data TEXT NOT NULL DEFAULT '{}',
  created_at TEXT NOT NULL DEFAULT '',
  updated_at TEXT NOT NULL DEFAULT ''
);

-- key: "hmac-sha256:" and the hex digest of the key's text; any other value is an imported clear text, hashed at the next open
CREATE TABLE IF NOT EXISTS api_keys (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL DEFAULT '',
  key TEXT NOT NULL UNIQUE,
  machine_id TEXT,
  allowed_models TEXT NOT NULL DEFAULT '[]',
  no_log INTEGER NOT NULL DEFAULT 0,
  scopes TEXT NOT NULL DEFAULT '["inference"]',
  expires_at TEXT,
  key_head TEXT NOT NULL DEFAULT '',
  key_tail TEXT NOT NULL DEFAULT '',
  created_at TEXT NOT NULL DEFAULT ''
);

-- tokens_input holds all prompt tokens, cached ones included; cost: US dollars, NULL = price unknown
CREATE TABLE IF NOT EXISTS usage_history (
  id INTEGER PRIMARY KEY,
  provider TEXT,
  model TEXT,
  connection_id TEXT,
  api_key_id TEXT,
  api_key_name TEXT,
  tokens_input INTEGER DEFAULT 0,
  tokens_output INTEGER DEFAULT 0,
  tokens_cache_read INTEGER DEFAULT 0,
  tokens_cache_creation INTEGER DEFAULT 0,
  tokens_reasoning INTEGER DEFAULT 0,
  status TEXT,
  timestamp TEXT NOT NULL DEFAULT '',
  cost REAL,
  estimated INTEGER DEFAULT 0,
  duration_ms REAL,
  first_byte_ms REAL,
  combo_name TEXT
);
CREATE INDEX IF NOT EXISTS usage_by_time ON usage_history (timestamp);

-- The newest 500 calls.  id is ours; request_id may be the client's and need not be unique.  duration: milliseconds
CREATE TABLE IF NOT EXISTS call_logs (
  id TEXT PRIMARY KEY,
  timestamp TEXT NOT NULL DEFAULT '',
  method TEXT,
  path TEXT,
  status INTEGER,
  model TEXT,
  provider TEXT,
  account TEXT,
  connection_id TEXT,
  duration REAL DEFAULT 0,
  tokens_in INTEGER DEFAULT 0,
  tokens_out INTEGER DEFAULT 0,
  source_format TEXT,
  target_format TEXT,
  api_key_id TEXT,
  api_key_name TEXT,
  combo_name TEXT,
  request_body TEXT,
  response_body TEXT,
  error TEXT,
  request_id TEXT,
  requested_model TEXT,
  first_byte_ms REAL,
  attempts INTEGER,
  route TEXT,
  cost REAL
);

CREATE TABLE IF NOT EXISTS proxy_logs (
  id TEXT PRIMARY KEY,
  timestamp TEXT NOT NULL DEFAULT '',
  status TEXT,
  proxy_type TEXT,
  proxy_host TEXT,
  proxy_port INTEGER,
  level TEXT,
  level_id TEXT,
  provider TEXT,
  target_url TEXT,
  public_ip TEXT,
  latency_ms INTEGER DEFAULT 0,
  error TEXT,
  connection_id TEXT,
  combo_id TEXT,
  account TEXT,
  tls_fingerprint INTEGER DEFAULT 0
);

CREATE TABLE IF NOT EXISTS domain_fallback_chains (model TEXT PRIMARY KEY, chain TEXT NOT NULL DEFAULT '[]');

CREATE TABLE IF NOT EXISTS domain_budgets (
  api_key_id TEXT PRIMARY KEY,
  daily_limit_usd REAL NOT NULL DEFAULT 0,
  monthly_limit_usd REAL DEFAULT 0,
  warning_threshold REAL DEFAULT 0.8,
  weekly_limit_usd REAL DEFAULT 0,
  reset_interval TEXT,
  reset_time TEXT
);

-- timestamp: Unix milliseconds
CREATE TABLE IF NOT EXISTS domain_cost_history (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  api_key_id TEXT NOT NULL DEFAULT '',
  cost REAL NOT NULL DEFAULT 0,
  timestamp INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS costs_by_key_and_time ON domain_cost_history (api_key_id, timestamp);

-- locked_until: Unix milliseconds
CREATE TABLE IF NOT EXISTS domain_lockout_state (
  identifier TEXT PRIMARY KEY,
  attempts TEXT NOT NULL DEFAULT '[]',
  locked_until INTEGER
);

CREATE TABLE IF NOT EXISTS domain_circuit_breakers (
  name TEXT PRIMARY KEY,
  state TEXT NOT NULL DEFAULT 'CLOSED',
  failure_count INTEGER NOT NULL DEFAULT 0,
  last_failure_time INTEGER,
  options TEXT
);

CREATE TABLE IF NOT EXISTS semantic_cache (
  id TEXT PRIMARY KEY,
  signature TEXT NOT NULL UNIQUE,
  model TEXT NOT NULL DEFAULT '',
  prompt_hash TEXT NOT NULL DEFAULT '',
  response TEXT NOT NULL DEFAULT '',
  tokens_saved INTEGER DEFAULT 0,
  hit_count INTEGER DEFAULT 0,
  created_at TEXT NOT NULL DEFAULT '',
  expires_at TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS cache_by_expiry ON semantic_cache (expires_at);

CREATE TABLE IF NOT EXISTS audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  timestamp TEXT NOT NULL DEFAULT '',
  action TEXT NOT NULL DEFAULT '',
  actor TEXT NOT NULL DEFAULT 'system',
  target TEXT,
  details TEXT,
  ip_address TEXT
);
CREATE INDEX IF NOT EXISTS audit_by_time ON audit_log (timestamp);
