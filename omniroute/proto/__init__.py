"""Bytes to HTTP exchanges and back.  Knows nothing of models, keys or providers."""
