"""Collegium beside the openai SDK by hand and beside plain LangGraph: one run, the same work, ratios."""
