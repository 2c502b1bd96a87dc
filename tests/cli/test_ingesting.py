"""The bar of an ingestion tells how fast it goes and how long it will take."""

from io import StringIO

from rich.console import Console

from collegium.cli.searching import progress_bar, teller


def test_rate_and_time_left_are_shown_and_begin_anew_with_each_part() -> None:
    now = 0.0
    shown = StringIO()
    console = Console(file=shown, force_terminal=True, width=120, color_system=None)
    bar = progress_bar(console, lambda: now)
    tell = teller(bar)

    for file in range(1, 101):
        now += 0.01
        tell("reading", file, 100)
    for done in range(10, 60, 10):
        now += 5
        tell("embedding", done, 110)

    console.print(bar.get_renderable())
    line = shown.getvalue().strip().splitlines()[-1]
    assert line.startswith("embedding")
    assert "50/110" in line and "2.0/s" in line and "0:00:30" in line
