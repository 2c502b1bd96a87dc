"""Ollama by its own API, where the size of the window can be set."""
