# The code stands as in the documentation, which is not written for strict checking.
# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false
"""Orchestrator and workers: one `Send` for each section of a report."""

import operator
from typing import Annotated

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel
from typing_extensions import TypedDict


class Section(BaseModel):
    name: str
    description: str


class State(TypedDict):
    topic: str
    sections: list[Section]
    completed_sections: Annotated[list, operator.add]  # type: ignore[type-arg]
    final_report: str


class WorkerState(TypedDict):
    section: Section
    completed_sections: Annotated[list, operator.add]  # type: ignore[type-arg]


def orchestrator(state: State):  # type: ignore[no-untyped-def]
    names = ["intro", "body", "end"]
    sections = [Section(name=name, description=f"{name} of {state['topic']}") for name in names]
    return {"sections": sections}


def llm_call(state: WorkerState):  # type: ignore[no-untyped-def]
    return {"completed_sections": [f"{state['section'].name}: {state['section'].description}"]}


def synthesizer(state: State):  # type: ignore[no-untyped-def]
    completed_sections = state["completed_sections"]
    completed_report_sections = "\n\n---\n\n".join(completed_sections)
    return {"final_report": completed_report_sections}


def assign_workers(state: State):  # type: ignore[no-untyped-def]
    return [Send("llm_call", {"section": s}) for s in state["sections"]]


orchestrator_worker_builder = StateGraph(State)
orchestrator_worker_builder.add_node("orchestrator", orchestrator)
orchestrator_worker_builder.add_node("llm_call", llm_call)
orchestrator_worker_builder.add_node("synthesizer", synthesizer)
orchestrator_worker_builder.add_edge(START, "orchestrator")
orchestrator_worker_builder.add_conditional_edges("orchestrator", assign_workers, ["llm_call"])
orchestrator_worker_builder.add_edge("llm_call", "synthesizer")
orchestrator_worker_builder.add_edge("synthesizer", END)
graph = orchestrator_worker_builder.compile()
