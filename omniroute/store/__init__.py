"""Persistence in SQLite behind typed functions; every configuration change publishes a new snapshot."""
