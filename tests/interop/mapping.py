"""The form of an echoed value after it went through another language and C."""

import math
import struct

WHOLE_MAX = 2**32  # whole floats below it are integers in JavaScript

INTEGERS = [0, 1, -1, -32, -33, 127, 128, -128, -129, 255, 256, 65535, 65536]
INTEGERS += [2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32 - 1, 2**32, 2**53, 2**63 - 1, -(2**63)]
FLOATS = [0.5, -2.25, 1e308, 5e-324, 2.0, -0.0, 4294967296.0, 1e300]
TEXTS = ["", "a", "gr\u00fc\u00df \u4e16 \U0001f30d", "x" * 32, "x" * 256, "x" * 70000, "nul\0inside"]
BYTES = [b"", b"\0\xff", bytes(range(256))]
NESTED = [[], [1, [2, [None, True]]], {}, {"a": {"b": [None, "c"]}}, list(range(70000))]
VALUES = [None, True, False, *INTEGERS, *FLOATS, *TEXTS, *BYTES, *NESTED]
SPECIAL = [math.nan, math.inf, -math.inf, [math.nan], 2**64 - 1, {1: "one", -2: "two"}]


def through_c(value):
    """NaN and infinities are nil, integers end at int64, keys are text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return min(value, 2**63 - 1)
    if isinstance(value, list):
        return [through_c(item) for item in value]
    if isinstance(value, dict):
        return {str(key): through_c(item) for key, item in value.items()}
    return value


def through_js(value):
    """Whole floats are integers, -0 is 0, bytes are maps of their indices."""
    if isinstance(value, float) and value == int(value) and abs(value) < WHOLE_MAX:
        return int(value)
    if isinstance(value, bytes):
        return {str(index): byte for index, byte in enumerate(value)}
    if isinstance(value, list):
        return [through_js(item) for item in value]
    if isinstance(value, dict):
        return {key: through_js(item) for key, item in value.items()}
    return value


def expected(peer, value):
    value = through_c(value)
    return through_js(value) if peer == "js" else value


def same(a, b):
    """Equal in type and bits too: 2 is not 2.0, and 0.0 is not -0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


# Arguments in wider encodings than they need: bytes of a list with one element, and what it means.
WIDE = [
    (bytes.fromhex("91d30000000000000005"), 5),
    (bytes.fromhex("91cf0000000000000005"), 5),
    (bytes.fromhex("91d2fffffffb"), -5),
    (bytes.fromhex("dc0001cd0005"), 5),
    (bytes.fromhex("91ca3fc00000"), 1.5),
    (bytes.fromhex("91db0000000161"), "a"),
    (bytes.fromhex("91df00000001d90161c0"), {"a": None}),
]
