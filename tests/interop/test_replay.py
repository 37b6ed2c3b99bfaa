"""A parent in C receives every captured and odd message of a worker."""

import json
import os
import re
import sys
import unittest

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers", "python"))

from mapping import same, through_c
from replay import expand
from session import HERE, Caller, Home
from support import PARENT, SOURCE

LATER = ("ok", "later")  # what follows each message: the message itself was passed over
NO_TEXT = ("remote", "the remote function failed")
NO_EXT = r"value.*: an ext "  # which the program cannot print, as it registers none

# Odd answers: what a call gets that is waiting. A pattern stands for any error that matches it.
ODD = {
    "response_result_missing": ("ok", None),
    "response_result_nil": ("ok", None),
    "response_with_unknown_fields": ("ok", "odd"),
    "error_text_missing": NO_TEXT,
    "error_text_empty": NO_TEXT,
    "error_text_nil": NO_TEXT,
    "error_text_int": NO_TEXT,
    "error_with_result_too": ("remote", "boom"),
    "response_app_missing": ("ok", "odd"),
    "three_frames": ("ok", "odd"),
    "nonempty_delimiter": ("ok", "odd"),
    "duplicate_response": ("ok", "odd"),
    "duplicate_response_second": ("ok", "second"),
    "result_int_keys": ("ok", {"1": 2}),
    "result_ext": re.compile(NO_EXT),
    "result_ext_js_undefined": re.compile(NO_EXT),
    "result_invalid_utf8": re.compile("was refused: result.*UTF-8"),
    "result_array_100001": re.compile("was refused: result.*max_items"),
    "trailing_garbage": re.compile("was refused: 1 bytes follow the message"),
    "result_nan": ("ok", None),
    "result_uint64_max": ("ok", 2**63 - 1),
}
# These are passed over, as unknown ids, apps and types are, and what is no message at all.
PASSED_OVER = """response_wrong_app response_id_missing response_id_unknown response_id_as_bin
    response_type_missing response_type_unknown ready_message garbage_payload empty_payload
    single_frame_payload top_level_array unsolicited_heartbeat stdout_without_id
    stdout_with_id stdout_empty_id stdout_output_missing stdout_output_int stderr_with_id
    stdout_multiline_ansi call_sent_to_parent
    shutdown_sent_to_parent"""
ODD.update((name, LATER) for name in PASSED_OVER.split())
PRINTED = {"stdout_with_id", "stderr_with_id", "stdout_multiline_ansi"}


def outputs_of(message):
    """The lines that a stdout or stderr message makes the parent show."""
    return [
        f"output {message['type']} {line.encode().hex() or '-'}"
        for line in message["output"].split("\n")
    ]


class Replay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        path = os.path.join(SOURCE, "tests", "vectors", "vectors.jsonl")
        with open(path, encoding="utf-8") as file:
            cls.vectors = [v for v in map(json.loads, file) if v["direction"] == "child->parent"]
        cls.home = Home()
        worker = os.path.join(HERE, "peers", "python", "replay.py")
        command = [PARENT, "spawn", "/usr/bin/python3", worker, "--output"]
        cls.caller = Caller(command, cls.home.environment())

    @classmethod
    def tearDownClass(cls):
        status = cls.caller.quit()
        cls.home.remove()
        assert status == 0, status

    def replay(self, name):
        """Outcome of the call that gets this message, and the output seen meanwhile."""
        self.caller.outputs.clear()
        outcome = self.caller.call(name)
        return outcome, list(self.caller.outputs)

    def check(self, name, outcome, wanted):
        if isinstance(wanted, re.Pattern):
            self.assertEqual(outcome[0], "other", name)
            self.assertRegex(outcome[1], wanted, name)
        else:
            self.assertEqual(outcome[0], wanted[0], name)
            self.assertTrue(same(outcome[1], wanted[1]), f"{name}: {str(outcome[1])[:200]}")

    def wanted(self, vector):
        """Outcome and output that a message of a real worker must lead to."""
        frames = [expand(frame) for frame in vector["frames"]]
        if len(frames) < 2:
            return LATER, []
        message = msgpack.unpackb(frames[1], raw=False, strict_map_key=False)
        kind = message.get("type")
        if kind == "response":
            result = message.get("result")
            if self.has_ext(result):
                return re.compile(NO_EXT), []
            return ("ok", through_c(result)), []
        if kind == "error":
            text = message.get("error", "")
            return (("remote", text.split("\n")[0]) if text else NO_TEXT), []
        if kind in ("stdout", "stderr"):
            return LATER, outputs_of(message)
        self.assertIn(kind, ("heartbeat", "ready"))
        return LATER, []

    def has_ext(self, value):
        if isinstance(value, dict):
            return any(map(self.has_ext, value.values()))
        if isinstance(value, list):
            return any(map(self.has_ext, value))
        return isinstance(value, msgpack.ExtType)

    def test_messages_of_real_workers(self):
        seen = 0
        for vector in self.vectors:
            if vector["source"] == "handmade":
                continue
            wanted, printed = self.wanted(vector)
            outcome, outputs = self.replay(vector["name"])
            self.check(vector["name"], outcome, wanted)
            self.assertEqual(outputs, printed, vector["name"])
            seen += 1
        self.assertGreater(seen, 200)

    def test_odd_messages(self):
        odd = [vector for vector in self.vectors if vector["source"] == "handmade"]
        names = {vector["name"].removeprefix("odd_reply_") for vector in odd}
        self.assertEqual(names, set(ODD))
        for vector in odd:
            name = vector["name"].removeprefix("odd_reply_")
            outcome, outputs = self.replay(vector["name"])
            self.check(name, outcome, ODD[name])
            if name in PRINTED:
                self.assertEqual(outputs, outputs_of(vector["decoded"]), name)
            else:
                self.assertEqual(outputs, [], name)


if __name__ == "__main__":
    unittest.main()
