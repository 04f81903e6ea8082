-- Each audit row holds the hash of the one before it, which reveals changed and removed rows (store/audit_chain.py).
-- Only the retention sweep may delete rows: those up to the row that the anchor in db_meta names.

ALTER TABLE audit_log ADD COLUMN prev_hash TEXT;
ALTER TABLE audit_log ADD COLUMN hash TEXT;

CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit_log WHEN OLD.hash IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'audit rows cannot be changed'); END;

CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit_log
WHEN OLD.id > ifnull((SELECT CAST(value AS INTEGER) FROM db_meta WHERE key = 'audit_anchor'), 0)
BEGIN SELECT RAISE(ABORT, 'audit rows cannot be deleted'); END;
