"""One call to one provider: who it is, how it wants to be asked, and the connection."""
