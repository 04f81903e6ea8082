"""SQLite behind typed functions; publishes a new snapshot after each change."""
