"""The data plane: serves model requests.  It reads memory only, never the database."""
