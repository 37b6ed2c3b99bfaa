"""The endpoint and every kind of request: the right answer to each, many connections at once, slow
pages, and the programs that ask an endpoint in the field."""

import calendar
import collections
import fcntl
import gzip
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

PROGRAM = sys.argv.pop()
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "http", "page")
PATIENCE = 60  # only an event that never happens takes longer
LONG_MS = 600000
HEAD = b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
POST = b"POST /metrics" + HEAD


def until(condition, what):
    """Waits for what has no event of its own."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen")


class Endpoint:
    """The program endpoint.c, until the end of a with block."""

    def __init__(self, connections=0, age_ms=LONG_MS, address="127.0.0.1", names=()):
        self.directory = tempfile.TemporaryDirectory()
        self.log = os.path.join(self.directory.name, "log")
        self.host = "127.0.0.1" if address == "0.0.0.0" else address
        self.process = subprocess.Popen(
            [PROGRAM, str(connections), str(age_ms), address, self.log, *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = self.read_port()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate(timeout=PATIENCE)  # the end of its input ends it
        self.directory.cleanup()
        if self.process.returncode != 0:
            raise AssertionError(f"the endpoint ended with {self.process.returncode}")

    def read(self):
        return self.process.stdout.readline().strip()

    def read_port(self):
        return int(self.read().split()[1])

    def send(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def tell(self, command):
        self.send(command)
        assert self.read() == "done"

    def connect(self, port=None):
        link = socket.create_connection((self.host, port or self.port), timeout=PATIENCE)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link

    def ask(self, *parts, port=None):
        """Sends the parts one after the other, and reads to the end of the connection."""
        with self.connect(port) as link:
            try:
                for part in parts:
                    link.sendall(part)
                    if len(parts) > 1:
                        settle(link)
            except (BrokenPipeError, ConnectionResetError):
                pass  # what the endpoint has said is still there
            return read_all(link)

    def get(self, target, *headers, port=None):
        lines = [f"GET {target} HTTP/1.1", "Host: a", "Connection: close", *headers, "", ""]
        return self.ask("\r\n".join(lines).encode(), port=port)


def settle(link):
    """Until the other side's kernel has what was sent, so that the next bytes come later; or until
    the other side has ended the connection."""
    ended = select.poll()
    ended.register(link, 0)
    unsent = lambda: struct.unpack("i", fcntl.ioctl(link, termios.TIOCOUTQ, b"\0" * 4))[0]
    until(lambda: unsent() == 0 or ended.poll(0), "the arrival of bytes")


def read_all(link):
    answer = b""
    try:
        while piece := link.recv(65536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def codes_of(answer):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d\d\d) ", answer)]


def body_of(answer):
    return answer.partition(b"\r\n\r\n")[2]


def fields_of(answer):
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def status_of(answer):
    return (codes_of(answer) or [None])[0]


def simple(target, *headers, method=b"GET"):
    return [method + b" " + target + HEAD + b"".join(line + b"\r\n" for line in headers) + b"\r\n"]


def arguments(count):
    return simple(b"/livez?" + b"&".join([b"a=1"] * count))


def from_host(host, method=b"GET"):
    return [method + b" /livez HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"]


LINE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNK = b"3\r\nabc\r\n0\r\n\r\n"
# The parts of a request, its code, and a part of the answer.
REQUESTS = {
    "HTTP/1.0 without Host": ([b"GET /livez HTTP/1.0\r\n\r\n"], 200, b'"pass"'),
    "HTTP/1.1 without Host": ([b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"], 400, b"Host"),
    "HTTP/1.2 without Host": ([b"GET /livez HTTP/1.2\r\nConnection: close\r\n\r\n"], 400, b"Host"),
    "HTTP/1.2": ([b"GET /livez HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n"], 200, b'"pass"'),
    "two Hosts": (simple(b"/livez", b"Host: 127.0.0.1"), 400, b"has 2"),
    "HEAD": (simple(b"/livez", method=b"HEAD"), 200, b"Content-Length: "),
    "OPTIONS": (simple(b"/livez", method=b"OPTIONS"), 200, b"Allow: GET, HEAD, OPTIONS\r\n"),
    "OPTIONS / of HTTP/1.0": ([b"OPTIONS / HTTP/1.0\r\n\r\n"], 200, b"Allow: GET, HEAD, OPTIONS\r\n"),
    "OPTIONS *": (simple(b"*", method=b"OPTIONS"), 200, b"Allow: GET, HEAD, OPTIONS\r\n"),
    "OPTIONS of nothing": (simple(b"/no", method=b"OPTIONS"), 404, b"/no"),
    "GET *": (simple(b"*"), 404, b"*"),
    "absolute": (simple(b"http://foo.example/livez"), 200, b'"pass"'),
    "absolute with port": (simple(b"http://foo.example:80/livez?verbose"), 200, b"\npass\n"),
    "absolute without path": (simple(b"http://foo.example"), 200, b"<!doctype html>"),
    "absolute without host": (simple(b"http:///livez"), 400, b"target"),
    "authority": (simple(b"foo.example:80", method=b"CONNECT"), 400, b"target"),
    "ftp": (simple(b"ftp://foo.example/livez"), 400, b"target"),
    "no slash": (simple(b"livez"), 400, b"target"),
    "spaces in the target": (simple(b"/li vez"), 404, b"/li vez"),
    "two Accepts": (
        simple(b"/metrics", b"Accept: text/plain;q=0.2", b"Accept: application/openmetrics-text"),
        200,
        b"# EOF",
    ),
    "chosen families": (
        simple(b"/metrics?name[]=multifrost_series_limit"),
        200,
        b"\r\n\r\n# HELP multifrost_series_limit ",
    ),
    "chosen by an escaped name": (
        simple(b"/metrics?name%5B%5D=multifrost_series_limit", b"Accept: application/openmetrics-text"),
        200,
        b"multifrost_series_limit 50000\n# EOF\n",
    ),
    "no such family": (simple(b"/metrics?name[]=none&name[]"), 200, b"Content-Type: text/plain; version=0.0.4"),
    "Accept application/*": (simple(b"/metrics", b"Accept: application/*"), 200, b"# EOF"),
    "Accept of q=0": (
        simple(b"/metrics", b"Accept: application/openmetrics-text;q=0"),
        200,
        b"Content-Type: text/plain",
    ),
    "one byte at a time": ([bytes([c]) for c in simple(b"/livez")[0]], 200, b'"pass"'),
    "folded header": (simple(b"/livez", b"X: a\r\n b"), 200, b'"pass"'),
    "header of 8 KiB": (simple(b"/livez", b"X: " + b"a" * 8192), 200, b'"pass"'),
    "header of 64 KiB": (simple(b"/livez", b"X: " + b"a" * 65536), 431, b"Connection: close\r\n"),
    "header without a name": (simple(b"/livez", b": x"), 200, b'"pass"'),  # it is dropped
    "blank before the colon": (simple(b"/livez", b"X : y"), 400, b"no name"),
    "64 arguments": (arguments(64), 200, b'"pass"'),
    "65 arguments": (arguments(65), 400, b"more than 64"),
    "900 arguments": (arguments(900), 400, b"more than 64"),
    "%00": (simple(b"/livez%00x"), 400, b"%00"),
    "%00 in the query": (simple(b"/livez?a=%00"), 400, b"%00"),
    "%2e%2e": (simple(b"/%2e%2e/etc/passwd"), 404, b"/../etc/passwd"),
    "escaped path": (simple(b"/%6civez"), 200, b'"pass"'),
    "invalid UTF-8": (simple(b"/\xff\xfe"), 404, "/\ufffd\ufffd".encode()),
    "long path": (simple(b"/" + b"a" * 3000), 414, b"512"),
    "POST with its body": (simple(b"/metrics", b"Content-Length: 3\r\n\r\nabc", method=b"POST"), 405, b"Allow: "),
    "POST with a late body": ([POST + b"Content-Length: 3\r\n\r\n", b"a", b"bc"], 405, b"Allow: "),
    "GET with a late body": ([b"GET /livez" + HEAD + b"Content-Length: 3\r\n\r\n", b"abc"], 200, b'"pass"'),
    "POST of nothing": ([POST + b"Content-Length: 0\r\n\r\n"], 405, b"Allow: "),
    "chunked": ([POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK], 405, b"Allow: "),
    "chunked and late": ([POST + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK[:5], CHUNK[5:]], 405, b"Allow: "),
    "chunked GET": ([b"GET /livez" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK], 200, b'"pass"'),
    "chunked in HTTP/1.0": ([b"GET /livez HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK], 400, b"codings"),
    "another coding": ([POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n"], 501, b"chunked"),
    "two Content-Lengths": ([POST + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"], 400, b"more than one"),
    "the same one twice": ([POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"], 400, b"more than one"),
    "length and coding": (
        [POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK],
        400,
        b"more than one",
    ),
    "blank in Content-Length": ([POST + b"Content-Length : 3\r\n\r\nabc"], 400, b"no name"),
    "body that is too long": ([POST + b"Content-Length: 99999999\r\n\r\n"], 413, b"1048576"),
    "Upgrade": (
        [b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n"],
        200,
        b'"pass"',
    ),
    "foreign Host": (from_host(b"evil.example:9464"), 421, b"evil.example"),
    "foreign Host of a POST": (from_host(b"evil.example", b"POST"), 421, b"host_names"),
    "foreign Host of OPTIONS": (from_host(b"evil.example", b"OPTIONS"), 421, b"host_names"),
    "configured Host": (from_host(b"api.example:80"), 200, b'"pass"'),
    "localhost": (from_host(b"localhost:9464"), 200, b'"pass"'),
    "[::1]": (from_host(b"[::1]:9464"), 200, b'"pass"'),
    "empty Host": (from_host(b""), 200, b'"pass"'),
    "broken Host": (from_host(b"a b"), 400, b"no host"),
    "unknown method": (simple(b"/livez", method=b"BREW"), 405, b"BREW"),
    "method in lower case": (simple(b"/livez", method=b"get"), 405, b"Allow: "),
    "empty lines before": ([b"\r\n\r\n" + simple(b"/livez")[0]], 200, b'"pass"'),
    "bare line feeds": ([b"GET /livez HTTP/1.1\nHost: a\nConnection: close\n\n"], 200, b'"pass"'),
}
# What libmicrohttpd refuses before it shows the target: such answers are not counted.
REFUSED = {
    "PROXY": ([b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + simple(b"/livez")[0]], 400),
    "HTTP/2": ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 505),
    "HTTP/3.0": ([b"GET /livez HTTP/3.0\r\nHost: a\r\n\r\n"], 505),
    "HTTP/0.9": ([b"GET /livez\r\n\r\n"], 400),
    "no target": ([b"GET \r\n\r\n"], 400),
}


class RequestsTest(unittest.TestCase):
    maxDiff = None

    def test_each_request_gets_its_answer_and_is_counted(self):
        wanted = collections.Counter()
        with Endpoint(names=["api.example"]) as endpoint:
            for name, (parts, code, text) in REQUESTS.items():
                with self.subTest(name):
                    answer = endpoint.ask(*parts)
                    self.assertEqual(codes_of(answer), [code], answer)
                    self.assertIn(text, answer)
                    wanted[str(code)] += 1
            for name, (parts, code) in REFUSED.items():
                with self.subTest(name):
                    self.assertEqual(codes_of(endpoint.ask(*parts)), [code])
            counted = collections.Counter()
            metrics = body_of(endpoint.get("/metrics")).decode()
            for code, count in re.findall(r'http_requests_total\{route=".*",code="(\d+)"\} (\d+)', metrics):
                counted[code] += int(count)
        self.assertEqual(counted, wanted)

    def test_errors_are_json_and_nothing_is_stored(self):
        with Endpoint() as endpoint:
            for parts in (REQUESTS["%00"][0], REQUESTS["long path"][0], REQUESTS["another coding"][0]):
                answer = endpoint.ask(*parts)
                self.assertEqual(json.loads(body_of(answer))["error"]["code"], status_of(answer))
                self.assertEqual(fields_of(answer)["cache-control"], "no-store")

    def test_malformed_length(self):
        """libmicrohttpd answers by itself, and writes the head of its answer twice; nothing after it
        is taken for a request."""
        with Endpoint() as endpoint:
            for length, code in ((b"x", 400), (b"-1", 400), (b"3 3", 400), (b"0x3", 400), (b"9" * 20, 413)):
                answer = endpoint.ask(POST + b"Content-Length: " + length + b"\r\n\r\n" + LINE)
                self.assertEqual(set(codes_of(answer)), {code}, answer)
                self.assertNotIn(b'"pass"', answer)

    def test_refused_bodies_are_no_requests(self):
        """The bytes behind a refused header never become a request of their own."""
        with Endpoint() as endpoint:
            for headers in (
                b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
                b"Content-Length: 0\r\nContent-Length: 5\r\n",
                b"Content-Length : 40\r\n",
                b"Transfer-Encoding: identity\r\n",
            ):
                request = b"POST /metrics HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n" + LINE
                answer = endpoint.ask(request)
                self.assertEqual(len(codes_of(answer)), 1, answer)
                self.assertEqual(fields_of(answer)["connection"].lower(), "close")

    def test_expect(self):
        with Endpoint() as endpoint, endpoint.connect() as link:
            link.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            first = link.recv(65536)
            self.assertEqual(first, b"HTTP/1.1 100 Continue\r\n\r\n")
            link.sendall(b"abc")
            self.assertEqual(status_of(read_all(link)), 405)

    def test_expect_of_too_much_is_refused_at_once(self):
        with Endpoint() as endpoint:
            answer = endpoint.ask(POST + b"Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n")
            self.assertEqual(codes_of(answer), [413])

    def test_endless_chunks_are_cut_off(self):
        with Endpoint() as endpoint, endpoint.connect() as link:
            link.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
            sent = 0
            with self.assertRaises((BrokenPipeError, ConnectionResetError)):
                while True:
                    link.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                    sent += 65536
                    self.assertLess(sent, 1 << 30)
            self.assertEqual(status_of(endpoint.get("/livez")), 200)

    def test_pipelined(self):
        with Endpoint() as endpoint:
            slow = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
            answer = endpoint.ask(LINE + slow + LINE + simple(b"/no")[0])
            self.assertEqual(codes_of(answer), [200, 200, 200, 404])

    def test_foreign_host_where_all_may_come(self):
        with Endpoint(address="0.0.0.0") as endpoint:
            self.assertEqual(status_of(endpoint.ask(*from_host(b"evil.example"))), 200)
            self.assertEqual(status_of(endpoint.ask(*from_host(b"a b"))), 400)

    def test_without_names(self):
        with Endpoint() as endpoint:
            self.assertEqual(status_of(endpoint.ask(*from_host(b"api.example"))), 421)

    def test_gzip(self):
        with Endpoint() as endpoint:
            for codings in (["gzip"], ["br", "gzip;q=0.5"], ["*"]):
                answer = endpoint.get("/metrics", *(f"Accept-Encoding: {coding}" for coding in codings))
                fields = fields_of(answer)
                self.assertEqual(fields["content-encoding"], "gzip")
                self.assertEqual(fields["vary"], "Accept, Accept-Encoding")
                self.assertEqual(int(fields["content-length"]), len(body_of(answer)))
                self.assertIn(b"# TYPE target", gzip.decompress(body_of(answer)))
            for headers in ([], ["Accept-Encoding: gzip;q=0"], ["Accept-Encoding: identity"]):
                answer = endpoint.get("/metrics", *headers)
                self.assertNotIn("content-encoding", fields_of(answer))
                self.assertEqual(fields_of(answer)["vary"], "Accept, Accept-Encoding")
            self.assertNotIn("content-encoding", fields_of(endpoint.get("/healthz", "Accept-Encoding: gzip")))

    def test_people_get_the_page_and_machines_json(self):
        chrome = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        machines = [["Accept: */*"], [], ["Accept: application/openmetrics-text;q=0.5,*/*;q=0.1"]]
        with Endpoint() as endpoint:
            page = endpoint.get("/")
            fields = fields_of(page)
            self.assertEqual(fields["content-type"], "text/html; charset=utf-8")
            self.assertIn("default-src 'none'; style-src 'self';", fields["content-security-policy"])
            for route, kind in (("/page.css", "text/css"), ("/page.js", "text/javascript")):
                answer = endpoint.get(route, "Accept-Encoding: gzip")
                fields = fields_of(answer)
                self.assertEqual(fields["content-type"], f"{kind}; charset=utf-8")
                self.assertEqual(fields["content-encoding"], "gzip")
                self.assertEqual(fields["content-security-policy"], "default-src 'none'")
                with open(os.path.join(PAGE, route[1:]), "rb") as file:
                    self.assertEqual(gzip.decompress(body_of(answer)), file.read())
            for route in ("/health", "/circuits"):
                self.assertEqual(body_of(endpoint.get(route, chrome)), body_of(page))
                for headers in machines:
                    answer = endpoint.get(route, *headers)
                    self.assertIn("json", fields_of(answer)["content-type"])
                    self.assertEqual(fields_of(answer)["vary"], "Accept, Accept-Encoding")
                    json.loads(body_of(answer))
            overview = json.loads(body_of(endpoint.get("/overview", chrome)))
            self.assertEqual(overview["schema"], "multifrost.overview/1")

    def test_sd_names_the_endpoint_as_its_client_does(self):
        with Endpoint() as endpoint:
            groups = json.loads(body_of(endpoint.get("/sd")))
            self.assertEqual([group["targets"] for group in groups], [["a"]])
            self.assertEqual(groups[0]["labels"]["role"], "program")
            void = endpoint.ask(b"GET http://elsewhere.example/sd" + HEAD + b"\r\n")
            none = endpoint.ask(b"GET /sd HTTP/1.0\r\n\r\n")
            for answer in (void, none):
                self.assertEqual(codes_of(answer), [400])
                self.assertIn(b"there is none", body_of(answer))

    def test_head_says_the_length_of_get(self):
        with Endpoint() as endpoint:
            for target in (b"/healthz", b"/", b"/circuits", b"/sd", b"/page.js"):
                head = endpoint.ask(*simple(target, method=b"HEAD"))
                get = endpoint.ask(*simple(target))
                self.assertEqual(fields_of(head)["content-length"], fields_of(get)["content-length"])
                self.assertEqual(body_of(head), b"")


class ConnectionsTest(unittest.TestCase):
    def test_idle_and_half_sent_ones_keep_no_probe_out(self):
        with Endpoint() as endpoint:
            links = [endpoint.connect() for _ in range(300)]
            self.assertEqual(status_of(endpoint.get("/livez")), 200)
            for _ in range(300):
                links.append(endpoint.connect())
                links[-1].sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nX: ")
            for _ in range(20):
                self.assertEqual(status_of(endpoint.get("/livez")), 200)
            for link in links:
                link.close()
            self.assertEqual(status_of(endpoint.get("/livez")), 200)

    def test_silent_ones_are_cut_off(self):
        hello = bytes.fromhex("16030100c8010000c40303") + b"a" * 100
        with Endpoint(age_ms=300) as endpoint:
            for request in (b"", hello, b"GET /livez HTTP/1.1\r\nHo", POST + b"Content-Length: 9\r\n\r\n"):
                self.assertEqual(endpoint.ask(request), b"", request)

    def test_drops_do_not_prolong_a_request(self):
        with Endpoint(age_ms=300) as endpoint, endpoint.connect() as link:
            link.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n")
            end = None
            while end is None:  # a request that is never cut off grows until it gets an answer
                try:
                    link.sendall(b"X: y\r\n")
                    link.settimeout(0.02)
                    end = link.recv(65536)
                except TimeoutError:
                    pass
                except (BrokenPipeError, ConnectionResetError):
                    end = b""
            self.assertEqual(end, b"")

    def test_pollers_are_told_before_the_end(self):
        """A connection that is used is never cut: its last answer says so."""
        with Endpoint(age_ms=2000) as endpoint:
            link = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=PATIENCE)
            begin = time.monotonic()
            link.connect()
            polls, is_last = 0, False
            while not is_last:
                link.request("GET", "/livez")
                answer = link.getresponse()
                self.assertEqual(answer.status, 200)
                answer.read()
                is_last = answer.getheader("Connection") == "close"
                polls += 1
            self.assertGreaterEqual(time.monotonic() - begin, 2)
            self.assertGreater(polls, 1)
            link.close()

    def test_cap_of_one(self):
        with Endpoint(connections=1) as endpoint:
            for _ in range(50):
                self.assertEqual(status_of(endpoint.get("/livez")), 200)

    def test_again_on_the_same_port(self):
        with Endpoint() as endpoint:
            for _ in range(5):
                idle = endpoint.connect()
                endpoint.send("again")
                self.assertEqual(endpoint.read_port(), endpoint.port)
                self.assertEqual(status_of(endpoint.get("/livez")), 200)
                self.assertEqual(read_all(idle), b"")
                idle.close()


class SlowPagesTest(unittest.TestCase):
    def test_scrapes_wait_and_probes_do_not(self):
        with Endpoint() as endpoint:
            endpoint.tell("slow")
            scrapes = []
            for _ in range(5):
                scrapes.append(endpoint.connect())
                scrapes[-1].sendall(simple(b"/metrics")[0])
                if len(scrapes) == 1:
                    self.assertEqual(endpoint.read(), "collecting")
            busy = []  # one of them may come before the last of those that wait
            while not busy:
                scrapes.append(endpoint.connect())
                scrapes[-1].sendall(simple(b"/metrics")[0])
                for path in ("/livez", "/readyz", "/health"):
                    self.assertEqual(status_of(endpoint.get(path)), 200)
                busy = self.take_busy(scrapes)
            self.assertEqual(status_of(busy[0]), 503)
            self.assertEqual(fields_of(busy[0])["retry-after"], "1")
            endpoint.tell("fast")
            answers = [read_all(link) for link in scrapes]
            self.assertEqual([status_of(answer) for answer in answers], [200] * 5)
            self.assertEqual(len({body_of(answer) for answer in answers[1:]}), 1)
            for link in scrapes:
                link.close()
            text = body_of(endpoint.get("/metrics")).decode()
            self.assertIn('multifrost_scrape_duration_seconds_count{format="text"} 2\n', text)
            self.assertIn('multifrost_http_requests_total{route="/metrics",code="200"} 5\n', text)

    def test_scrapers_that_hardly_wait(self):
        header = "X-Prometheus-Scrape-Timeout-Seconds"
        with Endpoint() as endpoint:
            self.assertEqual(status_of(endpoint.get("/metrics")), 200)
            endpoint.tell("slow")
            for limit in ("1e-9", "0.000000001"):  # over before its turn comes; nothing is collected
                answer = endpoint.get("/metrics", f"{header}: {limit}")
                self.assertEqual(status_of(answer), 200)
                self.assertIn(b"\nmultifrost_http_requests_total{", answer)
            endpoint.tell("pass")
            for limit in ("3600", "0", "-1", "soon", "1,5", "", "1e-9x", "nan"):
                self.assertEqual(status_of(endpoint.get("/metrics", f"{header}: {limit}")), 200)
            text = body_of(endpoint.get("/metrics")).decode()
            self.assertIn("\nmultifrost_scrape_partial_total 2\n", text)

    @staticmethod
    def take_busy(scrapes):
        """Takes the connections that have an answer, with it."""
        found = []
        for link in list(scrapes):
            link.setblocking(False)
            try:
                has_answer = link.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                has_answer = b""
            link.settimeout(PATIENCE)
            if has_answer:
                found.append(read_all(link))
                link.close()
                scrapes.remove(link)
        return found

    def test_clients_that_do_not_wait_for_their_page(self):
        with Endpoint() as endpoint:
            endpoint.tell("slow")
            with endpoint.connect() as link:
                link.sendall(simple(b"/metrics")[0])
                self.assertEqual(endpoint.read(), "collecting")
            endpoint.tell("fast")
            self.assertEqual(status_of(endpoint.get("/metrics")), 200)


class TwoEndpointsTest(unittest.TestCase):
    def changes(self, endpoint):
        with open(endpoint.log, encoding="utf-8") as file:
            return [line for line in file if "health_change" in line and "cache" in line]

    def test_probes_apart_and_warnings_by_their_code(self):
        with Endpoint() as endpoint:
            endpoint.send("probes")
            second = endpoint.read_port()
            for target in ("/", "/metrics", "/health", "/circuits", "/calls", "/crashes"):
                self.assertEqual(status_of(endpoint.get(target, port=second)), 404, target)
                self.assertEqual(status_of(endpoint.get(target)), 200, target)
            for target in ("/livez", "/readyz", "/startupz", "/healthz"):
                self.assertEqual(status_of(endpoint.get(target, port=second)), 200, target)
            self.assertNotIn("links", json.loads(body_of(endpoint.get("/readyz", port=second))))
            began = time.time()
            endpoint.tell("warn")
            until(lambda: status_of(endpoint.get("/healthz", port=second)) == 429, "a warning")
            self.assertEqual(status_of(endpoint.get("/readyz", port=second)), 200)
            body = json.loads(body_of(endpoint.get("/health")))
            self.assertEqual(status_of(endpoint.get("/health")), 200)
            self.assertIn("draining no", body["notes"])
            since = re.search(r"; since (\S+)Z$", body["description"])[1]
            moment = calendar.timegm(time.strptime(since.split(".")[0], "%Y-%m-%dT%H:%M:%S"))
            self.assertLess(abs(moment - began), PATIENCE)
            endpoint.tell("fail")
            until(lambda: status_of(endpoint.get("/healthz", port=second)) == 503, "a failure")

    def test_changes_are_logged_once(self):
        with Endpoint() as endpoint:
            endpoint.send("second")
            second = endpoint.read_port()
            for command, code, count in (("fail", 503, 1), ("pass", 200, 2)):
                endpoint.tell(command)
                for port in (endpoint.port, second):
                    until(lambda: status_of(endpoint.get("/readyz", port=port)) == code, command)
                until(lambda: len(self.changes(endpoint)) >= count, "the record of a change")
            self.assertEqual(status_of(endpoint.get("/metrics", port=second)), 200)
            text = body_of(endpoint.get("/metrics")).decode()
            self.assertIn('multifrost_scrape_duration_seconds_count{format="text"} 1\n', text)
            endpoint.process.stdin.close()
            endpoint.process.wait(PATIENCE)  # all is written
            self.assertEqual(len(self.changes(endpoint)), 2)
            endpoint.process.stdin = None


HAPROXY = """
defaults
    timeout connect 5s
    timeout client 5s
    timeout server 5s
global
    stats socket {directory}/socket level admin
backend plain
    option httpchk
    server one 127.0.0.1:{port} check inter 100
backend named
    mode http
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost
    server one 127.0.0.1:{port} check inter 100
"""
NGINX = """
daemon off;
pid {directory}/pid;
error_log {directory}/error;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/a;
    proxy_temp_path {directory}/b;
    fastcgi_temp_path {directory}/c;
    uwsgi_temp_path {directory}/d;
    scgi_temp_path {directory}/e;
    upstream endpoint {{ server 127.0.0.1:{port}; }}
    server {{
        listen unix:{directory}/socket;
        location / {{ proxy_pass http://endpoint; }}
    }}
}}
"""


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")


class Program:
    """A program of the field with a configuration of its own, until the end of a with block."""

    def __init__(self, command, text, port):
        self.place = tempfile.TemporaryDirectory()
        self.socket = os.path.join(self.place.name, "socket")
        path = os.path.join(self.place.name, "configuration")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.format(directory=self.place.name, port=port))
        self.process = subprocess.Popen(
            [*command, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def __enter__(self):
        until(lambda: os.path.exists(self.socket), "the start of the program")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        self.place.cleanup()

    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(PATIENCE)
            link.connect(self.socket)
            link.sendall(request)
            return read_all(link)


class FieldTest(unittest.TestCase):
    @unittest.skipUnless(find("haproxy"), "haproxy is not installed")
    def test_haproxy_checks(self):
        with Endpoint() as endpoint, Program([find("haproxy"), "-db", "-f"], HAPROXY, endpoint.port) as proxy:
            def states():
                rows = [row.split(",") for row in proxy.ask(b"show stat\n").decode().splitlines()]
                return {row[0]: row[36] for row in rows if len(row) > 36 and row[1] == "one"}

            until(lambda: states() == {"plain": "L7OK", "named": "L7OK"}, "a good check")
            endpoint.tell("fail")
            until(lambda: states()["named"] == "L7STS", "a check that sees the failure")
            self.assertEqual(states()["plain"], "L7OK")

    @unittest.skipUnless(find("nginx"), "nginx is not installed")
    def test_nginx_passes_requests_on(self):
        with Endpoint() as endpoint, Program([find("nginx"), "-c"], NGINX, endpoint.port) as proxy:
            self.assertEqual(status_of(proxy.ask(simple(b"/livez")[0])), 200)
            self.assertEqual(status_of(proxy.ask(simple(b"/no")[0])), 404)
            answer = proxy.ask(simple(b"/metrics", b"Accept-Encoding: gzip")[0])
            self.assertEqual(fields_of(answer)["content-encoding"], "gzip")

    @unittest.skipUnless(find("curl"), "curl is not installed")
    def test_curl_compressed(self):
        with Endpoint() as endpoint:
            url = f"http://127.0.0.1:{endpoint.port}/metrics"
            for options in (["--compressed"], ["--compressed", "--http1.0"], ["--http2", "--compressed"]):
                done = subprocess.run(
                    ["curl", "-sS", "-D", "-", *options, url], capture_output=True, check=True
                )
                self.assertIn(b"Content-Encoding: gzip", done.stdout)
                self.assertIn(b"multifrost_build_info", done.stdout)


if __name__ == "__main__":
    unittest.main()
