#!/usr/bin/env python3
"""Draws a flame graph: reads the output of `perf script -F comm,ip,sym` from stdin, and writes an
SVG to stdout. A browser shows a frame's share under the pointer. Callers are below; the order from
left to right has no meaning.
"""

import sys
import zlib
from xml.sax.saxutils import escape

WIDTH, ROW, LETTER = 1400, 17, 7
LEAST = 0.5  # pixels; a narrower frame is not drawn


class Frame:
    def __init__(self):
        self.samples = 0
        self.called = {}

    def depth(self):
        return 1 + max((frame.depth() for frame in self.called.values()), default=0)


def read_samples(lines):
    """The stacks, outermost frame first, each below the name of its thread."""
    block = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line.strip())
        elif block:
            thread, *frames = block
            yield [thread, *(frame.split(None, 1)[-1] for frame in reversed(frames))]
            block = []


def build(stacks):
    root = Frame()
    for stack in stacks:
        frame = root
        frame.samples += 1
        for name in stack:
            frame = frame.called.setdefault(name, Frame())
            frame.samples += 1
    return root


def draw(name, frame, left, bottom, scale, total):
    """Draws the frame and all frames above it."""
    width = frame.samples * scale
    if width < LEAST:
        return
    colour = f"hsl({zlib.crc32(name.encode()) % 60}, 85%, 62%)"
    room = int(width / LETTER) - 1
    text = name if len(name) <= room else name[: max(0, room - 2)] + ".."
    yield f"<g><title>{escape(name)}: {frame.samples / total:.1%}, {frame.samples} samples</title>"
    yield f'<rect x="{left:.1f}" y="{bottom - ROW}" width="{width:.1f}" height="{ROW - 1}" fill="{colour}"/>'
    if room > 2:
        yield f'<text x="{left + 3:.1f}" y="{bottom - 5}">{escape(text)}</text>'
    yield "</g>"
    for name_above, above in sorted(frame.called.items()):
        yield from draw(name_above, above, left, bottom - ROW, scale, total)
        left += above.samples * scale


def main():
    root = build(read_samples(sys.stdin))
    if root.samples == 0:
        raise SystemExit("no samples on stdin")
    height = root.depth() * ROW
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"')
    print(' font-family="monospace" font-size="11">')
    for part in draw("all", root, 0, height, WIDTH / root.samples, root.samples):
        print(part)
    print("</svg>")


if __name__ == "__main__":
    sys.setrecursionlimit(10000)
    main()
