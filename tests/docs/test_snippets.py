"""Every code block of the README and of docs/ is built with the project's warnings and run
unchanged."""

import glob
import os
import unittest

import snippets

# Blocks that are not run, by what they begin with, and why.
NO_RUN = {
    "./dev demo": "builds all of the release, and runs these tests",
    "./dev install": "builds all of the release; tests/install installs by the same call",
    "./dev bench": "measures for minutes; tests/bench runs each program for a moment",
    "perf record": "perf needs rights that a test need not have",
    "cc hello.c": "nothing is installed here; tests/install compiles so",
}


def pages():
    found = sorted(glob.glob(f"{snippets.SOURCE}/docs/*.md"))
    return [f"{snippets.SOURCE}/README.md", *found]


class PagesTest(unittest.TestCase):
    def check_page(self, path):
        with open(path, encoding="utf-8") as file:
            page = snippets.Page(os.path.relpath(path, snippets.SOURCE), file.read())
        try:
            for block in page.blocks:
                with self.subTest(block=str(block)):
                    if block.role == "no-run":
                        self.assertTrue(any(block.text.startswith(known) for known in NO_RUN), block)
                    page.run(block)
        finally:
            page.close()

    def test_all_reasons_are_needed(self):
        texts = []
        for path in pages():
            with open(path, encoding="utf-8") as file:
                texts += [block.text for block in snippets.read_blocks(path, file.read()) if block.role == "no-run"]
        for known in NO_RUN:
            self.assertTrue(any(text.startswith(known) for text in texts), known)


def add_page(path):
    name = os.path.splitext(os.path.basename(path))[0].lower()
    setattr(PagesTest, f"test_{name}", lambda self: self.check_page(path))


for each in pages():
    add_page(each)


class BlocksTest(unittest.TestCase):
    """The tools themselves: nothing is passed over in silence."""

    def test_unmarked_blocks_are_refused(self):
        for info in ("", "c", "c fragment=x", "c program", "rust", "sh later", "c program=x y"):
            with self.assertRaises(SyntaxError, msg=info):
                snippets.read_blocks("page", f"```{info}\nx\n```\n")
        with self.assertRaises(SyntaxError):
            snippets.read_blocks("page", "```text\nno end\n")
        with self.assertRaises(SyntaxError):
            snippets.read_blocks("page", "```text\n```\n```output\nof nothing\n```\n")

    def test_wrong_output_is_noticed(self):
        for text in ("```sh\necho a\n```\n", "```sh\necho a\n```\n```output\nb\n```\n", "```sh\nfalse\n```\n"):
            page = snippets.Page("page", text)
            self.addCleanup(page.close)
            with self.assertRaises(AssertionError, msg=text):
                page.run(page.blocks[0])

    def test_warnings_are_errors(self):
        page = snippets.Page("page", "```c fragment\nint unused;\n```\n")
        self.addCleanup(page.close)
        with self.assertRaisesRegex(AssertionError, r"page:2:5: error: unused variable"):
            page.run(page.blocks[0])

    def test_dots_stand_for_anything(self):
        self.assertTrue(snippets.matches("a ... c\n", "a b c\n"))
        self.assertFalse(snippets.matches("a ... c\n", "a b d\n"))


if __name__ == "__main__":
    unittest.main()
