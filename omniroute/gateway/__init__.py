"""The data plane, in the order in which a request meets it.  Reads memory only."""
