#!/usr/bin/env python3
"""Makes tables of the lines that bench/run wrote. With --write the tables go into
docs/performance.md, between its markers, and the lines into docs/performance.json.

usage: bench/report.py [--write] [LINES]
"""

import json
import os
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINES = os.path.join(SOURCE, "build", "bench.json")
PAGE = os.path.join(SOURCE, "docs", "performance.md")
DATA = os.path.join(SOURCE, "docs", "performance.json")
BEGIN = "<!-- tables: written by ./dev bench --write -->"
END = "<!-- end of tables -->"
COLUMNS = ["figure", "ours", "peer", "ratio", "spread", "target", "met"]


def read_lines(path):
    """The line about the run, and its figures."""
    with open(path, encoding="utf-8") as file:
        about, *figures = [json.loads(line) for line in file if line.strip()]
    if "date" not in about or not figures:
        raise SystemExit(f"{path}: no figures below a line about the run; ./dev bench makes them")
    return about, figures


def number(value):
    """The value with three significant digits, or with all digits before the point."""
    for least, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.3g}"


def between(pair, show):
    return f"{show(pair[0])} to {show(pair[1])}"


def ratio(value):
    return f"{value:.2f}"


def row(figure):
    unit = figure["unit"]
    has_peer = "against" in figure
    show = ratio if has_peer else number
    cells = dict.fromkeys(COLUMNS, "")
    cells["figure"] = figure["name"]
    cells["ours"] = f"{number(figure['value'])} {unit}"
    cells["spread"] = between(figure["ratio_spread" if has_peer else "spread"], show)
    if has_peer:
        cells["peer"] = f"{figure['against']}: {number(figure['peer_value'])} {unit}"
        cells["ratio"] = ratio(figure["ratio"])
    if "goal" in figure:
        cells["target"] = f"{figure['goal']} {show(figure['target'])}"
        cells["met"] = "yes" if figure["met"] else "**no**"
    return cells.values()


def text_row(cells):
    return f"| {' | '.join(cells)} |"


def tables(about, figures):
    machines = sorted({figure["machine"] for figure in figures})
    rounds = sorted({figure["rounds"] for figure in figures})
    options = f" {about['options']}" if about["options"] else ""
    parts = [
        f"{'; '.join(machines)}; {about['kernel']}; {about['date']}; commit {about['commit']}; "
        f"rounds: {', '.join(map(str, rounds))}; `./dev bench{options}`"
    ]
    for bench in dict.fromkeys(figure["bench"] for figure in figures):
        rows = [text_row(row(figure)) for figure in figures if figure["bench"] == bench]
        header = [text_row(COLUMNS), text_row(["---"] * len(COLUMNS))]
        parts.append("\n".join([f"### {bench}", "", *header, *rows]))
    return "\n\n".join(parts) + "\n"


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_page(text):
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise SystemExit(f"{PAGE}: one '{BEGIN}' and behind it one '{END}' are wanted")
    before, rest = page.split(BEGIN)
    write(PAGE, f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}")


def main(arguments):
    wants_page = "--write" in arguments
    paths = [argument for argument in arguments if argument != "--write"]
    path = paths[0] if paths else LINES
    about, figures = read_lines(path)
    text = tables(about, figures)
    print(text, end="")
    if wants_page and "--smoke" in about["options"]:
        raise SystemExit("a smoke run has no figures worth writing down")
    if wants_page:
        write_page(text)
        with open(path, encoding="utf-8") as file:
            write(DATA, file.read())


if __name__ == "__main__":
    main(sys.argv[1:])
