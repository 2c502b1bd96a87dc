"""From files to documents."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium.core.errors import KnowledgeError
from collegium.knowledge.html import html_to_text
from collegium.knowledge.loading import Unreadable, decode, find_files, load

PAGE = """<!doctype html><html><head><title>The  Lamp</title><style>p{}</style>
<script>var hidden = 1;</script></head><body><nav>Home</nav>
<h1>Lamps</h1><p>A lamp
is <b>red</b> &amp; bright.<br>Second line.</p>
<ul><li><p>One</p></li><li></li><li>Two</li></ul>
<table><tr><th>Lamp</th><th>Watts</th></tr><tr><td>red</td><td>40</td></tr></table>
<pre>a = 1
  b = 2</pre><p>Unclosed</body>"""


def test_a_page_becomes_headings_paragraphs_items_rows_and_code() -> None:
    title, text = html_to_text(PAGE)
    assert title == "The Lamp"
    assert text == (
        "# Lamps\n\nA lamp is red & bright.\nSecond line.\n\n- One\n\n- Two\n\n"
        "| Lamp | Watts |\n\n| red | 40 |\n\n```\na = 1\n  b = 2\n```\n\nUnclosed\n"
    )


@given(
    st.text() | st.lists(st.sampled_from(["<p>", "</p>", "<pre>", "<script>", "<!--", "<h1", "a", "&#x;"])).map("".join)
)
def test_broken_pages_give_some_text_and_never_an_error(page: str) -> None:
    html_to_text(page)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Grüße\r\nzwei\rdrei".encode(), "Grüße\nzwei\ndrei"),
        ("Grüße".encode("utf-8-sig"), "Grüße"),
        ("Grüße".encode("utf-16"), "Grüße"),
        ("Grüße".encode("latin-1"), "Grüße"),
    ],
)
def test_encodings_are_found(data: bytes, text: str) -> None:
    assert decode("a.txt", data) == text


@pytest.mark.parametrize("data", [b"\x7fELF\0\0", b"\xff\xfea", bytes(range(128, 160)) * 9, b"PK\x03\x04\0"])
def test_binary_files_are_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode("a.bin", data)


@given(st.binary())
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    try:
        decode("a", data)
    except Unreadable:
        pass


def test_titles_come_from_metadata_pages_and_file_names() -> None:
    metadata = load(Path("x.dist-info/METADATA"), b"Metadata-Version: 2.4\nName: lumen\n\nText.")
    page = load(Path("a.html"), b"<title>Lamps</title><p>x")
    named = load(Path("harbour_rules-2024.txt"), b"x")
    numbered = load(Path("17.txt"), b"x")
    assert [d.title for d in (metadata, page, named, numbered)] == ["lumen", "Lamps", "harbour rules 2024", ""]


def test_folders_are_searched_for_text_and_named_files_are_taken(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", "x.png", ".hidden.txt", "sub/c.rst", ".git/d.txt", "__pycache__/e.py", "p/METADATA"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("text")
    found = [file.relative_to(tmp_path).as_posix() for file in find_files(tmp_path)]
    assert found == ["a.txt", "b.md", "p/METADATA", "sub/c.rst"]
    assert list(find_files(tmp_path / "x.png")) == [tmp_path / "x.png"]
    with pytest.raises(KnowledgeError, match="no such file"):
        list(find_files(tmp_path / "absent"))


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(Unreadable, match="no text"):
        load(Path("a.txt"), b" \n")
