"""The private names of LangGraph that Collegium uses mean what they meant; an upgrade that changes them fails here."""

from __future__ import annotations

from langgraph._internal import _constants

from collegium.runs import private


def test_the_config_keys_that_lend_a_saver_and_make_resume_strict_are_langgraphs() -> None:
    assert private.CHECKPOINTER == _constants.CONFIG_KEY_CHECKPOINTER
    assert private.STRICT_RESUME == _constants.CONFIG_KEY_STRICT_RESUME
