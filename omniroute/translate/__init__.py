"""Wires to the neutral vocabulary and back: pure functions over bytes.  The list of wires is in ``formats.py``."""
