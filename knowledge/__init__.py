"""Documents in, citable passages out: loading, chunking, the index, quoting, grounding, memory."""

from .embedding import Embedder, HashEmbedder, MiniLM, default_embedder
from .grounding import Grounding, check_grounding
from .index import Index
from .ingestion import IngestReport
from .locating import locate, verify
from .memory import Memory, Note
from .passages import Citation, Passage
from .quoting import Quotes, ScoredSentence, best_sentences

__all__ = [
    "Citation",
    "Embedder",
    "Grounding",
    "HashEmbedder",
    "Index",
    "IngestReport",
    "Memory",
    "MiniLM",
    "Note",
    "Passage",
    "Quotes",
    "ScoredSentence",
    "best_sentences",
    "check_grounding",
    "default_embedder",
    "locate",
    "verify",
]
