"""The tests of both sides, whichever of them is in C."""

import sys
import unittest

import mapping
from session import Session

LINE = "of a worker that talks a lot, and more than its parent may want to hear"
FLOOD_LINES = 130_000  # more than 10 MB
FLOOD_MS = 30_000
CASE = tuple(sys.argv[1:4])
SEEN = []


class Conformance(unittest.TestCase):
    """What both ends must show. Each test notes its row of the table when it has passed."""

    side, peer, mode = CASE
    shared = None

    @classmethod
    def setUpClass(cls):
        cls.shared = Session(cls.side, cls.peer, cls.mode)
        cls.shared.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.shared.__exit__()

    def session(self, *flags, **options):
        return Session(self.side, self.peer, self.mode, flags, **options)

    def note(self, feature, text="yes"):
        SEEN.append([feature, text])

    @property
    def caller(self):
        return self.shared.caller

    def refused(self, function, *args, **options):
        """Kind and text of a call that must fail. A good one follows, so that no circuit opens."""
        kind, text = self.caller.call(function, *args, **options)
        self.assertNotEqual(kind, "ok", f"{function}{args} gave {text!r}")
        self.assertEqual(self.caller.value("add", 1, 2), 3)
        return kind, text

    # ---- Calls ----

    def test_calls(self):
        for function, args, wanted in (
            ("add", (40, 2), 42),
            ("multiply", (-6, 7), -42),
            ("factorial", (20,), 2432902008176640000),
            ("fibonacci", (50,), 12586269025),
            ("greet", ("Ada",), "Hello, Ada!"),
            ("greet", ("",), "Hello, !"),
            ("divide", (1, 4), 0.25),
        ):
            self.assertEqual(self.caller.value(function, *args), wanted)
        self.note("Calls")

    def test_types(self):
        for value in mapping.VALUES + mapping.SPECIAL:
            self.check_echo(value, mapping.expected(self.peer, value))
        for data, meaning in mapping.WIDE:
            kind, value = self.caller.answer(self.caller.send("echo", data))
            self.assertEqual((kind, value), ("ok", meaning), data.hex())
        self.note(
            "Types",
            {
                "python": "yes",
                "js": "yes; bytes become maps, whole floats integers: JavaScript",
            }[self.peer],
        )

    def check_echo(self, value, wanted):
        result = self.caller.value("echo", value)
        text = f"{str(value)[:80]} came back as {str(result)[:80]}, not {str(wanted)[:80]}"
        self.assertTrue(mapping.same(result, wanted), text)

    def test_large_values(self):
        text = "x" * 1_000_000
        self.assertEqual(self.caller.value("echo", text), text)
        kind, error = self.refused("echo", "x" * (10 * 1024 * 1024 + 1))
        self.assertEqual(kind, "other" if self.side == "parent" else "remote", error)
        self.note("1 MB text; over 10 MiB an error")

    def test_many_calls_in_flight(self):
        tags = [self.caller.send("add", (i, 1), timeout=60000) for i in range(1000)]
        for i, tag in enumerate(tags):
            self.assertEqual(self.caller.answer(tag, 60), ("ok", i + 1))
        self.note("1,000 calls in flight")

    def test_timeouts(self):
        kind, text = self.refused("sleep_ms", 2000, timeout=50)
        self.assertEqual(kind, "timeout")
        self.assertIn("sleep_ms", text)
        self.note("Timeout; the late answer does no harm")

    def test_namespaces(self):
        kind, _ = self.refused("add", 1, 2, namespace="other", timeout=300)
        self.assertEqual(kind, "timeout")
        with self.session(namespace="math") as session:
            self.assertEqual(session.caller.value("add", 1, 2, namespace="math"), 3)
            kind, _ = session.caller.call("add", 1, 2, timeout=300)
            self.assertEqual(kind, "timeout")
            self.assertEqual(session.caller.quit(), 0)
            if self.mode == "spawn":
                session.wait_no_worker()
        self.note("Namespaces; another one is ignored")

    # ---- Errors ----

    def test_missing_function(self):
        for name in ("nope", "_nope"):
            kind, text = self.refused(name)
            self.assertEqual(kind, "remote")
            self.assertIn(f"Function '{name}' not found", text)
        self.note("Error: not found")

    def test_private_function(self):
        kind, text = self.refused("_secret", 1, 2)
        self.assertEqual(kind, "remote")
        self.assertIn("Cannot call private method '_secret'", text)
        self.note("Error: private function")

    # ---- Flood ----

    def flood(self, function):
        tag = self.caller.send(function, (FLOOD_LINES,), timeout=FLOOD_MS)
        outcome = self.caller.answer(tag, 2 * FLOOD_MS / 1000)
        # A ROUTER in JavaScript drops what is beyond its 1,000 queued messages, and the answer that
        # comes behind so many lines may be among it.
        if not (self.peer == "js" and self.side == "parent" and outcome[0] == "timeout"):
            self.assertEqual(outcome, ("ok", FLOOD_LINES))
        self.assertEqual(self.caller.value("add", 1, 2, timeout=FLOOD_MS), 3)
