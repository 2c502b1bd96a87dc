"""Ingestion and search of an index, measured: CPU, memory, kills, vectors of 8 bits; beside Chroma used plainly."""
