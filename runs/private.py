"""Private names of LangGraph 1.2, kept in one place; tests/runs/test_private_names.py fails when they change."""

CHECKPOINTER = "__pregel_checkpointer"
"""Config key that lends a run its saver."""
STRICT_RESUME = "__pregel_strict_resume"
"""Config key that accepts an answer only for a question that is open."""
