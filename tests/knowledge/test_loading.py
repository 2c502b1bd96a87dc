"""From files to documents."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.core.errors import KnowledgeError
from collegium.knowledge.decoding import decode
from collegium.knowledge.finding import find_files
from collegium.knowledge.html import html_to_text
from collegium.knowledge.loading import load
from collegium.knowledge.unreadable import Unreadable

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


@settings(deadline=None)
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


@settings(deadline=None)
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


def test_ignore_rules_of_a_folder_and_of_those_below_it_hold(tmp_path: Path) -> None:
    names = "a.txt drafts/b.txt drafts/kept.txt sub/c.txt sub/d.log sub/deep/e.txt build/f.txt README".split()
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    (tmp_path / ".gitignore").write_text("build/\n*.log\nREADME\n")
    (tmp_path / ".collegiumignore").write_text("drafts/*\n!drafts/kept.txt\n!README\n")
    (tmp_path / "sub/.collegiumignore").write_text("!*.log\n/deep\n")
    found = [file.relative_to(tmp_path).as_posix() for file in find_files(tmp_path)]
    assert found == ["README", "a.txt", "drafts/kept.txt", "sub/c.txt", "sub/d.log"]
    assert list(find_files(tmp_path / "build/f.txt")) == [tmp_path / "build/f.txt"]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Гавань открыта с шести утра, корабли ждут снаружи."),
        ("cp1252", "The harbour’s “red” lamp – a beacon – is café-bright."),
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy, a to každý večer."),
        ("cp1253", "Αυτό είναι ένα ελληνικό κείμενο για το λιμάνι."),
        ("shift_jis", "これは港についての日本語の文章です。船は外で待ちます。"),
        ("gb18030", "这是一个关于港口的中文文本，船在外面等待。"),
    ],
)
def test_undeclared_encodings_are_recognised(encoding: str, text: str) -> None:
    assert decode("a.txt", text.encode(encoding)) == text


def test_some_damaged_bytes_do_not_make_utf8_something_else() -> None:
    assert decode("a.txt", "Grüße ".encode() * 20 + b"\xff end") == "Grüße " * 20 + "\ufffd end"
