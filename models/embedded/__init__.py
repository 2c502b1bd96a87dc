"""The embedded model: llama.cpp beside this process."""
