"""Readers of files that are not text: each gives the text of one kind, in the shape of Markdown."""
