"""Calls to providers: the catalogue, credentials, OAuth and the HTTP client with its connection pool."""
