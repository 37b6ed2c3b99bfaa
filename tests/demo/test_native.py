"""Native histograms and exemplars under a real Prometheus, which scrapes them in protobuf: quantiles are
those of the recorded values within one bucket, and a bucket names the trace of a call."""

import math
import os
import random
import shutil
import subprocess
import tempfile
import time
import unittest

from test_prometheus import TOOLS, Prometheus, fetch, until

BUILD = os.environ["MF_BUILD_DIR"]
WORKER = os.path.join(BUILD, "tests", "conformance", "conformance_child")
SCHEMA = os.path.join(os.environ["MF_SOURCE_DIR"], "metrics", "protobuf")
SCRAPED = os.path.join(BUILD, "tests", "demo", "scraped")
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
COUNT = 5000
BUCKET = 2 ** (1 / 32)  # an upper bound to the one below
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
SAMPLED = ("0af7651916cd43dd8448eb211c80319c", "01")
NOT_SAMPLED = ("11111111111111111111111111111111", "00")


def distributions():
    """Nanoseconds of four kinds of load; the same in each run."""
    draw = random.Random(7)
    return {
        "uniform": [draw.uniform(1e-4, 1e-2) for _ in range(COUNT)],
        "exponential": [1e-5 + draw.expovariate(1 / 2e-3) for _ in range(COUNT)],
        "lognormal": [draw.lognormvariate(math.log(3e-4), 1.2) for _ in range(COUNT)],
        "two_humps": [draw.gauss(*draw.choice([(1e-4, 1e-5), (0.5, 0.05)])) for _ in range(COUNT)],
    }


def exact(values, quantile):
    return sorted(values)[max(math.ceil(quantile * len(values)) - 1, 0)]


def split_length(body):
    """The varint at the begin, and what is behind it."""
    length = 0
    for at, byte in enumerate(body):
        length |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return length, body[at + 1 :]
    raise AssertionError("no length")


class Scraped:
    def __init__(self, values):
        self.process = subprocess.Popen(
            [SCRAPED, WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.address = "127.0.0.1:" + self.process.stdout.readline().split()[1]
        self.tell(*(f"record {name} {ns}" for name, of in values.items() for ns in of))

    def tell(self, *lines):
        """Returns when the program has obeyed."""
        self.process.stdin.write("".join(f"{line}\n" for line in (*lines, "done")))
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def call(self, trace, flags):
        self.tell(f"call 00-{trace}-b7ad6b7169203331-{flags}")

    def stop(self):
        self.process.communicate(timeout=20)
        return self.process.returncode


def has_protobuf():
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as file:
        return "MULTIFROST_PROTOBUF:BOOL=ON\n" in file.read()


@unittest.skipUnless(TOOLS, "MF_TEST_PROMETHEUS_DIR is not set")
@unittest.skipUnless(has_protobuf(), "the build has no protobuf")
class NativeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.values = {
            name: [max(round(value * 1e9), 1) for value in of] for name, of in distributions().items()
        }
        cls.scraped = Scraped(cls.values)
        cls.scraped.call(*SAMPLED)
        cls.scraped.call(*NOT_SAMPLED)
        cls.prometheus = Prometheus(
            cls.directory.name,
            cls.scraped.address,
            "--enable-feature=native-histograms,exemplar-storage",
        )
        until(lambda: cls.prometheus.query("case_duration_seconds"), 30, "a first scrape")

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.stop()
        status = cls.scraped.stop()
        cls.directory.cleanup()
        assert status == 0

    def query(self, expression):
        return {row["metric"].get("name"): float(row["value"][1]) for row in self.prometheus.query(expression)}

    def test_quantiles_are_within_one_bucket(self):
        for quantile in QUANTILES:
            got = self.query(f"histogram_quantile({quantile}, case_duration_seconds)")
            self.assertEqual(sorted(got), sorted(self.values))
            for name, of in self.values.items():
                wanted = exact(of, quantile) / 1e9
                with self.subTest(name, quantile=quantile, wanted=wanted, got=got[name]):
                    self.assertLess(abs(math.log(got[name] / wanted)), math.log(BUCKET) + 1e-9)

    def test_counts_and_sums_are_exact(self):
        self.assertEqual(self.query("histogram_count(case_duration_seconds)"), dict.fromkeys(self.values, COUNT))
        for name, got in self.query("histogram_sum(case_duration_seconds)").items():
            self.assertAlmostEqual(got, sum(self.values[name]) / 1e9, places=9)

    def test_fractions_below_a_bound(self):
        """All values up to a bound of a bucket are below it."""
        bound = 2**-10
        got = self.query(f"histogram_fraction(0, {bound}, case_duration_seconds)")
        for name, of in self.values.items():
            self.assertAlmostEqual(got[name], sum(ns <= bound * 1e9 for ns in of) / COUNT, places=9)

    def test_calls_are_native_too(self):
        got = self.prometheus.query('histogram_count(multifrost_client_call_duration_seconds{outcome="ok"})')
        self.assertEqual([(row["metric"]["function"], row["value"][1]) for row in got if row["value"][1] != "0"],
                         [("add", "2")])

    def test_exemplars_name_sampled_calls(self):
        name = "multifrost_client_call_duration_seconds"
        found = until(lambda: self.prometheus.exemplars(name), 30, "an exemplar")
        self.assertEqual({(row["seriesLabels"]["target"], one["labels"]["trace_id"])
                          for row in found for one in row["exemplars"]}, {("math", SAMPLED[0])})
        one = found[0]["exemplars"][0]
        self.assertRegex(one["labels"]["span_id"], "^[0-9a-f]{16}$")
        self.assertNotEqual(one["labels"]["span_id"], "b7ad6b7169203331")  # that of the caller's caller
        self.assertGreater(float(one["value"]), 0)
        self.assertLess(abs(one["timestamp"] - time.time()), 600)

    @unittest.skipUnless(shutil.which("protoc"), "protoc is not installed")
    def test_protoc_reads_the_body(self):
        """By the schema that the library writes with: all fields are known, no byte is left over."""
        url = f"http://{self.scraped.address}/metrics?name[]=case_duration_seconds"
        body, kind = fetch(url, PROTOBUF, text=False)
        self.assertEqual(kind, PROTOBUF.replace(";", "; "))
        length, message = split_length(body)
        self.assertEqual(length, len(message))  # one family
        text = subprocess.run(
            ["protoc", "--decode=mfi_pb.MetricFamily", f"--proto_path={SCHEMA}", "metrics.proto"],
            input=message,
            capture_output=True,
            check=True,
        ).stdout.decode()
        self.assertIn('name: "case_duration_seconds"\nhelp: "Durations that the test made"\ntype: HISTOGRAM\n', text)
        self.assertEqual(text.count("\n    schema: 5\n"), len(self.values))
        self.assertEqual(text.count(f"\n    count: {COUNT}\n"), len(self.values))
        self.assertNotRegex(text, r"(?m)^ *\d+[:{ ]")  # a field without a name


if __name__ == "__main__":
    unittest.main()
