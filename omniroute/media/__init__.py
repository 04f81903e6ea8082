"""Pure codecs for embeddings, images, audio, reranking and moderation, between client formats and vendor formats."""
