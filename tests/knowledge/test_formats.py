"""PDF, DOCX, e-mail, tables and records become text with its pages and headings, or are refused with the reason."""

import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collegium.knowledge import Index, Passage
from collegium.knowledge.chunking import passages_of
from collegium.knowledge.formats import word
from collegium.knowledge.formats.mail import mail_text
from collegium.knowledge.formats.records import lines_text, rows_text
from collegium.knowledge.loading import load
from collegium.knowledge.unreadable import Unreadable

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"


def pdf(pages: Sequence[Sequence[str]], *, title: str = "", bookmarks: Sequence[tuple[str, int]] = ()) -> bytes:
    """A PDF with one line of text below the other; bookmarks name a title and a page, from 0."""
    objects: list[str] = ["<< /Type /Catalog /Pages 2 0 R /Outlines 4 0 R >>"]
    first_page, first_mark = 6, 6 + 2 * len(pages)
    kids = " ".join(f"{first_page + 2 * n} 0 R" for n in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    last = first_mark + len(bookmarks) - 1
    ends = f"/First {first_mark} 0 R /Last {last} 0 R" if bookmarks else ""
    objects.append(f"<< /Type /Outlines {ends} /Count {len(bookmarks)} >>")
    objects.append(f"<< /Title ({title}) >>")
    for n, lines in enumerate(pages):
        drawn = " ".join(f"({line}) Tj 0 -16 Td" for line in lines)
        stream = f"BT /F1 12 Tf 72 720 Td {drawn} ET"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {first_page + 2 * n + 1} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    for n, (name, page) in enumerate(bookmarks):
        following = f"/Next {first_mark + n + 1} 0 R" if n + 1 < len(bookmarks) else ""
        objects.append(f"<< /Title ({name}) /Parent 4 0 R {following} /Dest [{first_page + 2 * page} 0 R /Fit] >>")
    return _assembled(objects)


def _assembled(objects: Sequence[str]) -> bytes:
    made = b"%PDF-1.4\n"
    places: list[int] = []
    for number, body in enumerate(objects, start=1):
        places.append(len(made))
        made += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R /Info 5 0 R >>\n"
    return made + f"{end}startxref\n{len(made)}\n%%EOF\n".encode()


def docx(paragraphs: Sequence[tuple[str, str]], more: str = "") -> bytes:
    """A DOCX of paragraphs with their style (`Heading1`, or empty), and whatever XML follows them."""
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'
        if style
        else f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"
        for style, text in paragraphs
    )
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/></w:style>' for n in (1, 2)
    )
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as parts:
        parts.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{TYPES}"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{MAIN}"/></Types>',
        )
        parts.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{OFFICE}" Target="word/document.xml"/>'
            "</Relationships>",
        )
        parts.writestr("word/document.xml", f'<w:document xmlns:w="{WORD}"><w:body>{body}{more}</w:body></w:document>')
        parts.writestr("word/styles.xml", f'<w:styles xmlns:w="{WORD}">{styles}</w:styles>')
    return packed.getvalue()


def table(*rows: Sequence[str]) -> str:
    """A table of a DOCX."""
    made = "".join(
        "<w:tr>" + "".join(f"<w:tc><w:p><w:r><w:t>{cell}</w:t></w:r></w:p></w:tc>" for cell in row) + "</w:tr>"
        for row in rows
    )
    return f"<w:tbl>{made}</w:tbl>"


RULES = pdf(
    [
        ["1 Harbour", "The harbour opens at six and is a won-", "derful place. Ships wait."],
        ["Fees", "A berth costs 40 crowns."],
    ],
    title="Harbour rules",
    bookmarks=[("Harbour", 0), ("Fees", 1)],
)


def passages(name: str, data: bytes) -> list[Passage]:
    document = load(Path(name), data)
    found = passages_of(document)
    assert [document.text[p.start : p.end] for p in found] == [p.text for p in found]
    return found


def test_passages_of_a_pdf_know_their_page_and_heading() -> None:
    first, second = passages("rules.pdf", RULES)
    assert (first.page, first.heading) == (1, "Harbour rules > 1 Harbour")
    assert first.text.endswith("The harbour opens at six and is a wonderful place. Ships wait.")
    assert (second.page, second.heading) == (2, "Harbour rules > Fees")
    assert second.text.endswith("A berth costs 40 crowns.")


def test_a_program_s_file_name_is_no_title_of_a_pdf() -> None:
    (passage,) = passages("tide-tables.pdf", pdf([["High water at noon."]], title="Microsoft Word - x.doc"))
    assert passage.heading == "tide tables"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.pdf", b"%PDF-1.4 and nothing", "damaged"),
        ("a.pdf", pdf([[], []]), "OCR"),
        ("a.docx", b"PK\x03\x04 and nothing", "damaged"),
        ("a.docx", b"", "damaged"),
        ("a.jsonl", b"not\njson\n{}", "2 of its 3 lines are not JSON, line 1 first"),
        ("a.csv", b"\n\n", "no text"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        load(Path(name), data)


@settings(max_examples=50, deadline=None)
@given(st.data(), st.sampled_from(["a.pdf", "a.docx", "a.eml", "a.csv", "a.jsonl", "a.html"]))
def test_damaged_files_give_text_or_a_reason(data: st.DataObject, name: str) -> None:
    whole = {"a.pdf": RULES, "a.docx": docx([("Heading1", "A"), ("", "b")])}.get(name, MAIL)
    at = data.draw(st.integers(0, len(whole)))
    bad = whole[:at] + data.draw(st.binary(max_size=8)) + whole[at + data.draw(st.integers(0, 40)) :]
    try:
        load(Path(name), bad)
    except Unreadable:
        pass


def test_a_docx_keeps_headings_and_tables() -> None:
    more = table(["Lamp", "Watts"], ["red", "40"])
    document = load(Path("a.docx"), docx([("Heading1", "Harbour"), ("", "It opens."), ("Heading2", "Fees")], more))
    assert document.text == "# Harbour\n\nIt opens.\n\n## Fees\n\n| Lamp | Watts |\n\n| red | 40 |\n"


def test_a_docx_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word, "MAX_UNPACKED", 1000)
    with pytest.raises(Unreadable, match="at most 1000 are read"):
        load(Path("a.docx"), docx([("", "a" * 2000)]))


@pytest.mark.parametrize(("name", "module"), [("a.pdf", "pypdfium2"), ("a.docx", "mammoth")])
async def test_a_missing_extra_is_said_with_the_line_that_installs_it(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / name).write_bytes(RULES)
    report = await Index("i", folder=tmp_path / "i", keyword_only=True).ingest(tmp_path / "docs")
    ((_, reason),) = report.skipped
    assert reason.endswith("needs the 'documents' extra: pip install \"collegium[documents]\"")


MAIL = b"""From: Ada <ada@example.org>\r
To: harbour@example.org\r
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_from?=\r
 the pier\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/html; charset=iso-8859-1\r
\r
<p>Sch\xf6n hier.</p><p>Ada</p>\r
--b\r
Content-Type: application/pdf\r
Content-Disposition: attachment; filename="fees.pdf"\r
\r
x\r
--b--\r
"""


def test_a_mail_reads_as_its_headers_and_its_body() -> None:
    assert mail_text(MAIL) == (
        "Grüße from the pier",
        "From: Ada <ada@example.org>\nTo: harbour@example.org\nSubject: Grüße from the pier\n"
        "Attachment: fees.pdf\n\nSchön hier.\n\nAda\n",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Type: text/plain; charset=nonsense\n\nGr\xc3\xbc\xc3\x9fe",
        b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n R3LDvMOfZQ==",
        b"\nGr\xfc\xdfe",
    ],
)
def test_a_mail_whose_charset_is_wrong_or_missing_is_read(body: bytes) -> None:
    assert mail_text(body)[1].strip() == "Grüße"


def test_each_row_of_a_table_is_a_passage_that_names_its_columns() -> None:
    found = passages("towns.csv", b'town;founded;note\nBrill;1280;"A harbour; a tower"\n\nDelft;1246;\n')
    assert [p.text for p in found] == [
        "town: Brill\nfounded: 1280\nnote: A harbour; a tower",
        "town: Delft\nfounded: 1246",
    ]
    assert {p.heading for p in found} == {"towns"}


def test_a_table_without_names_keeps_all_of_its_rows() -> None:
    assert rows_text("t", "1,2\n3,4\n").text == "Column 1: 1\nColumn 2: 2\n\nColumn 1: 3\nColumn 2: 4\n\n"
    assert rows_text("t", "a\tb\n1,5\t2\tmore\n", tabs=True).text == "a: 1,5\nb: 2\nColumn 3: more\n\n"


def test_each_record_is_a_passage_under_its_own_title() -> None:
    lines = b'{"id": 7, "title": "Lamps", "text": "%s", "by": {"name": "Ada", "tags": [1, "x"]}}\n' % (b"Long. " * 60)
    first, *_, last = passages("notes.jsonl", lines + b'{"name": "Tower"}\n"A bare text."\n')
    assert first.heading == "notes > Lamps"
    assert first.text.startswith("# Lamps\n\nid: 7\nby.name: Ada\nby.tags: 1, x\n\nLong.")
    assert (last.heading, last.text) == ("notes", "A bare text.")


async def test_a_file_with_some_broken_lines_is_held_and_named(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"a": "one"}\n{"a": \n{"a": "three"}\n')
    index = Index("i", folder=tmp_path / "i", keyword_only=True)
    report = await index.ingest(tmp_path / "notes.jsonl")
    assert (report.added, report.passages, report.skipped) == (1, 2, ())
    assert report.partly == ((str(tmp_path / "notes.jsonl"), "1 of 3 lines are not JSON, line 2 first."),)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_table_or_is_refused(text: str) -> None:
    try:
        made = rows_text("t", text)
    except Unreadable:
        return
    assert list(made.starts) == sorted(set(made.starts))


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.integers() | st.none(), max_size=3)))
def test_each_record_begins_where_it_says(records: list[dict[str, str | int | None]]) -> None:
    import json

    made = lines_text("t", "".join(json.dumps(record) + "\n" for record in records))
    assert all(made.text[start - 2 : start] == "\n\n" for start in made.starts if start)
    assert len(made.starts) <= len(records)
