"""The examples do what they say, and the README shows the worker as it is."""

import os
import re
import subprocess
import unittest
import urllib.request

BUILD = os.path.join(os.environ["MF_BUILD_DIR"], "examples")
SOURCE = os.environ["MF_SOURCE_DIR"]


def run(name):
    return subprocess.run(
        [os.path.join(BUILD, name), os.path.join(BUILD, "hello_worker")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


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

    def test_absent_worker_is_named(self):
        result = subprocess.run(
            [os.path.join(BUILD, "hello_parent"), "/nonexistent"], capture_output=True, text=True, timeout=30, check=False
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot start '/nonexistent': No such file or directory", result.stderr)

    def test_service(self):
        with subprocess.Popen(
            [os.path.join(BUILD, "service")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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
