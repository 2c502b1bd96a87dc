"""Documents in, citable passages out: loading, chunking, the index, quoting, grounding, memory."""

from .embedding import Embedder, HashEmbedder, MiniLM, default_embedder
from .grounding import Grounding, check_grounding
from .index import Index
from .ingestion import IngestReport
from .locating import locate, verify
from .memory import Memory, Note
from .passages import Citation, Passage
from .quoting import Quotes, ScoredSentence, best_sentences
from .ranking import Found, Part, Ranking, Where
from .reranking import Reranker

__all__ = [
    "Citation",
    "Embedder",
    "Found",
    "Grounding",
    "HashEmbedder",
    "Index",
    "IngestReport",
    "Memory",
    "MiniLM",
    "Note",
    "Part",
    "Passage",
    "Quotes",
    "Ranking",
    "Reranker",
    "ScoredSentence",
    "Where",
    "best_sentences",
    "check_grounding",
    "default_embedder",
    "locate",
    "verify",
]
