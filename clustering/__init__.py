"""Who writes alike? Style features, embeddings, fit, assign."""
