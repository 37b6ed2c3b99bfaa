"""Runs the fuzz target of the endpoint on targets, hosts and lists as clients write them, and on
changed forms of them."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop()
TEXTS = [
    b"",
    b"/",
    b"*",
    b"/livez?verbose&exclude=uptime",
    b"/%6cive%7a%00%zz%",
    b"/" + b"%61" * 600,
    b"/livez?" + b"a=1&" * 70,
    b"http://foo.example:80/metrics?x=y",
    b"HTTPS://[::1]:9464",
    b"ftp://foo.example/livez",
    b"/\xff\xfe\xc3\xa4",
    b"localhost:9464",
    b"[fe80::1]:9464",
    b"127.0.0.1.",
    b"evil.example",
    b"a.b.c.example:65536",
    b"a" * 300,
    b"*/*",
    b"gzip;q=0.5, *;q=0, br",
    b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    b"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    b"application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    b'application/openmetrics-text; version="1.0.0" ; q="0.5, text/plain',
    b"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6",
    b";;;,q=",
]


class FuzzHttpTest(unittest.TestCase):
    def test_corpus(self):
        with tempfile.TemporaryDirectory() as corpus:
            for number, text in enumerate(TEXTS):
                pathlib.Path(corpus, str(number)).write_bytes(text)
            mutations = os.environ.get("MF_FUZZ_MUTATIONS", "2000")
            done = subprocess.run([PROGRAM, corpus, mutations], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, f"{len(TEXTS)} files\n")


if __name__ == "__main__":
    unittest.main()
