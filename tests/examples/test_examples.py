"""The examples print what their README says, and the README shows the worker unchanged. With
MF_VALGRIND set, all C programs run under it and must neither leak nor fail."""

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import unittest.mock
import urllib.request
import zlib

BUILD = os.path.join(os.environ["MF_BUILD_DIR"], "examples")
SOURCE = os.environ["MF_SOURCE_DIR"]
EXAMPLES = os.path.join(SOURCE, "examples")
MODULES = os.environ.get("MF_NODE_MODULES") or os.path.join(BUILD, "..", "..", "node", "node_modules")
sys.path.insert(0, os.path.join(EXAMPLES, "peers"))
from multifrost_peer import Client, RemoteError  # noqa: E402

MIB = 1 << 20
WORK_MS = 1500  # the worker does one after the other: the four take longer than a late call
VALGRIND = []
if "MF_VALGRIND" in os.environ:
    reports = tempfile.TemporaryDirectory()
    VALGRIND = [
        "valgrind",
        "--quiet",
        "--leak-check=full",
        "--show-leak-kinds=definite,indirect",
        "--errors-for-leak-kinds=definite,indirect",
        "--trace-children=yes",
        "--trace-children-skip=*/python3*,*/node",
        f"--log-file={reports.name}/%p",
    ]


def tearDownModule():
    if VALGRIND:
        files = sorted(glob.glob(os.path.join(reports.name, "*")))
        assert len(files) > 10, files
        for path in files:
            with open(path, encoding="utf-8", errors="replace") as file:
                errors = [line for line in file if line.startswith("==")]
            assert not errors, "".join(errors)


def built(name):
    return os.path.join(BUILD, name)


def peer(name):
    return os.path.join(SOURCE, "examples", "peers", name)


def run(name, *arguments, **options):
    command = [*VALGRIND, built(name), *(arguments or [built("hello_worker")])]
    return run_command(command, **options)


def run_command(command, cwd=None, **environment):
    environment = {**os.environ, "NODE_PATH": MODULES, **environment}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=cwd
    )


def table():
    """(command, output) of each row of the examples' table that ends by itself."""
    with open(os.path.join(EXAMPLES, "README.md"), encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            if len(cells) == 4 and re.fullmatch("`[^`]+`", cells[2]):
                yield cells[2].strip("`"), cells[3].strip("`").replace("`<br>`", "\n") + "\n"


@contextlib.contextmanager
def lasting(home, *command):
    """A program that lasts until SIGTERM, and then ends well."""
    words = [*VALGRIND, *command]
    process = subprocess.Popen(
        words, cwd=home, env={**os.environ, "HOME": home}, stdout=subprocess.PIPE, text=True
    )
    try:
        with unittest.mock.patch.dict(os.environ, {"HOME": home}):
            yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0


@contextlib.contextmanager
def service(home, *arguments):
    """The service "greeter", in a home of its own."""
    command = [*VALGRIND, built("connect_service"), *arguments]
    process = subprocess.Popen(command, env={**os.environ, "HOME": home})
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


class ExamplesTest(unittest.TestCase):
    def test_hello(self):
        result = run("hello_parent")
        self.assertEqual((result.returncode, result.stdout), (0, "1 + 2 = 3\n"), result.stderr)

    def test_async_fanout(self):
        result = run("async_fanout")
        self.assertEqual((result.returncode, result.stdout), (0, "16 calls, sum 2456\n"), result.stderr)

    def test_pool(self):
        result = run("pool")
        self.assertEqual((result.returncode, result.stdout), (0, "3 workers, sum 110\n"), result.stderr)

    def check(self, result, output):
        self.assertEqual((result.returncode, result.stdout), (0, output), result.stderr)

    @unittest.skipIf(VALGRIND, "shells and what they run are looked at one by one")
    def test_each_prints_what_the_table_says(self):
        rows = list(table())
        self.assertEqual(len(rows), 12)
        for command, output in rows:
            with self.subTest(command), tempfile.TemporaryDirectory() as home:
                os.symlink(sys.executable, os.path.join(home, "python3"))
                path = f"{home}:{BUILD}:{os.environ['PATH']}"
                shell = ["/bin/sh", "-c", f"{command}; wait"]
                result = run_command(shell, cwd=home, PATH=path, HOME=home, EXAMPLES=EXAMPLES)
                self.check(result, output)

    def test_retries(self):
        result = run("retries", built("retry_worker"))
        self.check(result, "answered at attempt 2, 1 retry, 1 restart\n")

    def test_authentication(self):
        result = run("auth_caller", built("auth_worker"), BANK_TOKEN="s3cret")
        self.check(result, "refused: PermissionError: a valid token is needed\nbalance 100\n")
        self.assertNotIn("s3cret", result.stdout + result.stderr)

    def test_upload(self):
        with tempfile.TemporaryDirectory() as folder:
            sent = os.path.join(folder, "sent")
            with open(sent, "wb") as file:
                for number in range(50 * 4):
                    file.write(number.to_bytes(4, "big") * 65536)
                file.write(b"and a little more")
            result = run("upload_caller", built("upload_worker"), sent, cwd=folder)
            self.check(result, f"{50 * 4 * 65536 * 4 + 17} bytes arrived\n")
            with open(sent, "rb") as file, open(os.path.join(folder, "uploaded"), "rb") as copy:
                self.assertEqual(file.read(), copy.read())

    def test_chunks_come_in_any_order_and_again(self):
        data = os.urandom(2 * MIB + 1)
        with tempfile.TemporaryDirectory() as home, lasting(home, built("upload_worker")):
            with Client("uploads", 20) as worker:
                one = worker.call("begin", "file", len(data))
                for at in (2 * MIB, 0, 2 * MIB, 0):
                    worker.call("chunk", one, at, data[at : at + MIB])
                with self.assertRaisesRegex(RemoteError, "ValueError: 1 missing chunks"):
                    worker.call("finish", one, zlib.crc32(data))
                worker.call("chunk", one, MIB, data[MIB : 2 * MIB])
                self.assertEqual(worker.call("finish", one, zlib.crc32(data)), len(data))
            with open(os.path.join(home, "file"), "rb") as file:
                self.assertEqual(file.read(), data)

    def test_wrong_upload_gets_no_name(self):
        pieces = ((0, b"abc"), (0, b"abcde"), (1, b"abc"), (-MIB, b"abcd"), (MIB, b""), (0, "abcd"))
        with tempfile.TemporaryDirectory() as home:
            with lasting(home, built("upload_worker")), Client("uploads", 20) as worker:
                one = worker.call("begin", "file", 4)
                for offset, piece in pieces:
                    with self.assertRaisesRegex(RemoteError, "ValueError|TypeError"):
                        worker.call("chunk", one, offset, piece)
                worker.call("chunk", one, 0, b"abcd")
                with self.assertRaisesRegex(RemoteError, "ValueError: the checksum differs"):
                    worker.call("finish", one, 1)
                with self.assertRaisesRegex(RemoteError, "KeyError: there is no upload"):
                    worker.call("finish", one + 1, zlib.crc32(b"abcd"))
                for name in ("../file", "/file", "", ".", "..", "a/b", "x" * 128):
                    with self.assertRaisesRegex(RemoteError, "a plain file name"):
                        worker.call("begin", name, 4)
            self.assertEqual(os.listdir(home), [".multifrost"])  # nor is a part left behind

    def test_connect(self):
        with tempfile.TemporaryDirectory() as home, service(home):
            self.check(run("connect_caller", "Grace", HOME=home), "Hello, Grace!\n")

    def test_c_calls_python(self):
        result = run("call_any", "/usr/bin/python3", peer("conformance_worker.py"))
        self.check(result, "3, Hello, Ada!\n")

    def test_python_calls_c(self):
        with tempfile.TemporaryDirectory() as home, service(home):
            result = run_command(["/usr/bin/python3", peer("call_c.py")], HOME=home)
            self.check(result, "Hello, Ada!\nTypeError: argument 1 must be a str, not int\n")

    def test_c_calls_javascript(self):
        self.check(run("call_any", shutil.which("node"), peer("worker.js")), "3, Hello, Ada!\n")

    def test_javascript_calls_c(self):
        with tempfile.TemporaryDirectory() as home, service(home):
            result = run_command([shutil.which("node"), peer("call_c.js")], HOME=home)
            self.check(result, "Hello, Ada!\nTypeError: argument 1 must be a str, not int\n")

    def test_nested_calls_have_one_correlation_id(self):
        with tempfile.TemporaryDirectory() as home:
            with service(home, os.path.join(home, "greeter.log")):
                result = run("nested", peer("relay.py"), home, HOME=home, COMLINK_LOG_LEVEL="info")
                self.check(result, "Hello, Ada!\n")
            traces = {}
            for path in glob.glob(os.path.join(home, "*.log")):
                with open(path, encoding="utf-8") as file:
                    records = [json.loads(line) for line in file]
                chain = [r for r in records if r.get("correlation_id") == "order-4711"]
                self.assertTrue(chain, path)
                traces[os.path.basename(path)] = {record["trace_id"] for record in chain}
            self.assertEqual(sorted(traces), ["greeter.log", "nested.log", "relay.log"])
            self.assertEqual(len(set.union(*traces.values())), 1)

    def test_graceful_shutdown(self):
        with subprocess.Popen(
            [*VALGRIND, built("graceful_shutdown"), built("hello_worker")], stdout=subprocess.PIPE, text=True
        ) as program:
            self.assertEqual(program.stdout.readline(), "ready\n")
            program.send_signal(signal.SIGTERM)
            output, _ = program.communicate(timeout=20)
        self.assertEqual((program.returncode, output), (0, "calls were answered, 0 failed\n"))

    def test_graceful_service(self):
        results = []

        def call():
            with Client("front", 20) as front:
                results.append(front.call("work", WORK_MS))

        command = [built("graceful_service"), built("demo/demo_worker")]
        with tempfile.TemporaryDirectory() as home, lasting(home, *command) as process:
            callers = [threading.Thread(target=call) for _ in range(4)]
            for caller in callers:
                caller.start()
            while (line := process.stdout.readline()) != "running 4\n":
                self.assertTrue(line)
            process.send_signal(signal.SIGTERM)
            self.assertRegex(process.stdout.readline(), "^draining [1-4]\n$")
            with Client("front") as late:
                with self.assertRaisesRegex(RemoteError, "UnavailableError: shutting down"):
                    late.call("work", 0)
            for caller in callers:
                caller.join()
            self.assertEqual(process.stdout.readline(), "left 0\n")
            self.assertEqual(process.wait(20), 0)
        self.assertEqual(results, [WORK_MS] * 4)

    @unittest.skipUnless(VALGRIND, "the demo has tests of its own")
    def test_demo(self):
        result = run("demo/demo", "--seconds", "3", "--http-port", "0")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("http://", result.stdout)

    def test_every_example_is_in_the_table(self):
        with open(os.path.join(SOURCE, "examples", "README.md"), encoding="utf-8") as file:
            table = file.read()
        for path in glob.glob(os.path.join(SOURCE, "examples", "*.c")):
            self.assertRegex(table, rf"\| .*\b{os.path.basename(path)[:-2]}\b.* \|")

    def test_absent_worker_is_named(self):
        result = subprocess.run(
            [os.path.join(BUILD, "hello_parent"), "/nonexistent"], capture_output=True, text=True, timeout=30, check=False
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot start '/nonexistent': No such file or directory", result.stderr)

    def test_service(self):
        with subprocess.Popen(
            [*VALGRIND, built("service")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as service:
            url = service.stdout.readline().strip()
            with urllib.request.urlopen(f"{url}metrics", timeout=10) as answer:
                self.assertIn('shop_items_sold_total{item="book"} 2\n', answer.read().decode())
            with urllib.request.urlopen(f"{url}health", timeout=10) as answer:
                body = answer.read().decode()
            self.assertIn('"shop:stock"', body)
            self.assertIn("nothing left to sell", body)
            _, log = service.communicate(timeout=20)
        self.assertEqual(service.returncode, 0)
        self.assertIn("shop.sold Sold a book left=1", log)

    def test_readme_shows_the_worker(self):
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
            readme = file.read()
        with open(os.path.join(SOURCE, "examples", "hello_worker.c"), encoding="utf-8") as file:
            worker = file.read()
        shown = re.search(r"```c worker=hello_worker\n(.*?)```", readme, re.DOTALL).group(1)
        self.assertEqual(shown, worker.partition("\n")[2])
        self.assertLessEqual(readme.count("\n"), 150)


if __name__ == "__main__":
    unittest.main()
