-- A row of the cost history sums the calls of one batch: how many they were.

ALTER TABLE domain_cost_history ADD COLUMN calls INTEGER NOT NULL DEFAULT 1;
