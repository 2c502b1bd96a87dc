"""Agents: callables with typed ports that plan, retrieve, run tools, write, judge, route and ask people."""

from .judge import Judge
from .plan_runner import PlanRunner
from .planner import Planner
from .retriever import Retriever, Searchable
from .review import Ask, Review
from .router import Router
from .tool_executor import ToolExecutor
from .values import (
    Answer,
    Criterion,
    CriterionScore,
    Plan,
    Rubric,
    Scores,
    SentenceSupport,
    Step,
    StepResult,
    Verdict,
)
from .writer import ShortAnswer, Statement, Statements, Writer

__all__ = [
    "Answer",
    "Ask",
    "Criterion",
    "CriterionScore",
    "Judge",
    "Plan",
    "PlanRunner",
    "Planner",
    "Retriever",
    "Review",
    "Router",
    "Rubric",
    "Scores",
    "Searchable",
    "SentenceSupport",
    "ShortAnswer",
    "Statement",
    "Statements",
    "Step",
    "StepResult",
    "ToolExecutor",
    "Verdict",
    "Writer",
]
