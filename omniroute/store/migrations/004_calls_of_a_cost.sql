-- calls: the number of calls that a row of the cost history sums up.

ALTER TABLE domain_cost_history ADD COLUMN calls INTEGER NOT NULL DEFAULT 1;
