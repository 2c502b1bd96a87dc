"""The text of a web page, in the shape of Markdown: headings, paragraphs, items, table rows, code."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_BLOCKS = frozenset(
    """address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form header
    hgroup hr html main nav ol p pre section summary table tbody thead tfoot title ul""".split()
)
_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "nav", "iframe"})
_SPACE = re.compile(r"\s+")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def html_to_text(page: str) -> tuple[str, str]:
    """The title of the page and its text.

    Scripts, styles and navigation are left out. Built on the standard library's parser, which takes any
    text: broken markup gives some text, never an error.
    """
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return " ".join("".join(reader.title).split()), reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self._blocks: list[str] = []
        self._open: list[str] = []
        self._prefix = ""
        self._hidden: list[str] = []
        self._in_title = False
        self._pre = 0
        self._in_cell = False
        self._paragraph_ended = False

    def text(self) -> str:
        self._end_block()
        return "\n\n".join(self._blocks) + ("\n" if self._blocks else "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = True
        elif tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag in _HEADINGS:
            self._begin_block("#" * _HEADINGS[tag] + " ")
        elif tag == "li":
            self._begin_block("- ")
        elif tag == "tr":
            self._begin_block("| ")
        elif tag in ("td", "th"):
            self._in_cell = True
        elif tag == "br":
            self._open.append("\n")
        elif tag == "p" and self._in_cell and self._cell_is_empty():
            pass  # a cell's only paragraph is the cell
        elif tag in _BLOCKS:
            self._begin_block("")
            self._pre += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in _HIDDEN:
            if tag in self._hidden:
                del self._hidden[self._hidden.index(tag) :]
        elif tag in ("td", "th"):
            self._open.append(" | ")
            self._in_cell = self._paragraph_ended = False
        elif tag == "p" and self._in_cell:
            self._paragraph_ended = True
        elif tag in _HEADINGS or tag in ("li", "tr") or tag in _BLOCKS:
            self._end_block()
            self._prefix = ""
            self._pre -= tag == "pre" and self._pre > 0

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._hidden:
            if self._paragraph_ended and data.strip():
                self._end_block()
            # outside <pre>, a line break of the markup is a space, and only <br> breaks a line
            self._open.append(data if self._pre else _SPACE.sub(" ", data))

    def _cell_is_empty(self) -> bool:
        return not "".join(self._open).rpartition(" | ")[2].strip()

    def _begin_block(self, prefix: str) -> None:
        self._end_block()
        self._prefix = prefix or self._prefix

    def _end_block(self) -> None:
        raw = "".join(self._open)
        self._open = []
        self._paragraph_ended = False
        if self._pre and raw.strip():
            self._blocks.append("```\n" + raw.strip("\n") + "\n```")
            return
        lines = (" ".join(line.split()) for line in raw.split("\n"))
        if body := "\n".join(line for line in lines if line):
            self._blocks.append(self._prefix + body)
            self._prefix = ""
