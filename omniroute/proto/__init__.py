"""The HTTP protocol layer: bytes to exchanges and back.  It knows nothing of models, keys or providers."""
