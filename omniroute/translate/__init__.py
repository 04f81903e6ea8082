"""Wire formats to the neutral vocabulary and back: pure functions over bytes.  ``formats.py`` lists the wires."""
