"""Embeddings, images, sound, ranking and moderation: pure codecs between the clients' wires and the vendors'."""
