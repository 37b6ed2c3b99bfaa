"""Each alert has a page in docs/runbooks/ with the same parts in the same order; what the pages name exists: families,
labels, words, routes, queries of routes, options, other pages."""

import glob
import os
import re
import unittest

import promql

SOURCE = os.environ["MF_SOURCE_DIR"]
PARTS = ("**Meaning.**", "**Impact.**", "## Look first", "```promql", "```sh no-run", "```logql", "## Causes, the likely ones first",
         "## Safe actions", "**Escalate.**", "**Test it in staging.**")
TICKED = re.compile(r"`([a-z]+(?:_[a-z0-9]+)+)(?:\(\))?`")
CURL = re.compile(r"^curl -s 'http://127\.0\.0\.1:9464([^'?]*)(?:\?([^']*))?'$")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def code(*patterns):
    return "\n".join(read(path) for pattern in patterns for path in sorted(glob.glob(f"{SOURCE}/{pattern}", recursive=True)))


def block(page, kind):
    return re.search(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL).group(1).strip().split("\n")


class RunbooksTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.pages = {os.path.basename(path)[:-3]: read(path) for path in glob.glob(f"{SOURCE}/docs/runbooks/*.md")}
        cls.families = promql.read_page(read(f"{SOURCE}/docs/metrics.md"))
        routes = re.search(r"routes\[\] = \{(.*?)\n\};", code("http/*.c"), re.DOTALL).group(1)
        cls.routes = {path: rest == "true" for path, rest in re.findall(r'\{"(/\w*)", (true|false)', routes)}

    def test_each_alert_has_a_page(self):
        alerts = set(re.findall(r"^ *- alert: (\w+)$", read(f"{SOURCE}/dashboards/rules/alerts.yml"), re.MULTILINE))
        self.assertGreater(len(alerts), 20)
        self.assertEqual(set(self.pages), alerts)

    def test_pages_have_all_parts_in_order(self):
        for name, page in self.pages.items():
            with self.subTest(name):
                self.assertTrue(page.startswith(f"# {name}\n"))
                places = [page.find(part) for part in PARTS]
                self.assertNotIn(-1, places)
                self.assertEqual(places, sorted(places))
                self.assertEqual(len(block(page, "promql")), 3)
                self.assertLess(len(page.split("\n")), 60)

    def test_queries_name_what_is_there(self):
        for name, page in self.pages.items():
            with self.subTest(name):
                for query in block(page, "promql"):
                    self.assertEqual(promql.wrong_names(query, self.families), [], query)
                self.assertEqual(promql.wrong_selectors(page, self.families), [])

    def test_curls_name_routes_and_queries_that_are_there(self):
        self.assertIn("/circuits", self.routes)
        queries = {"/calls": re.findall(r'\{"(\w+)", (?:MF_CALLS|&query)', read(f"{SOURCE}/http/calls_page.c")),
                   "/crashes": ["worker", "target", "limit"], "/health": ["verbose", "exclude"]}
        self.assertIn("failed", queries["/calls"])
        for name, page in self.pages.items():
            with self.subTest(name):
                for line in block(page, "sh no-run"):
                    path, query = CURL.match(line).groups()
                    route = "/" + path.split("/")[1]
                    self.assertIn(route, self.routes)
                    self.assertTrue(route == path or self.routes[route], line)
                    for argument in (query or "").split("&"):
                        self.assertIn(argument.split("=")[0], ["", *queries.get(route, [])], line)

    def test_routes_in_words_are_there(self):
        for name, page in self.pages.items():
            with self.subTest(name):
                for route in re.findall(r"(?<![\w:/.])`?(/[a-z]+)(?=[`?, .])", page.split("```logql")[1]):
                    self.assertIn(route, [*self.routes, "/dev", "/proc"], route)

    def test_words_in_backticks_exist(self):
        known = set(re.findall(r"\w+", code("base/**/*.[ch]", "metrics/**/*.[ch]", "logging/**/*.[ch]", "core/**/*.[ch]", "http/**/*.[ch]", "admin/**/*.[ch]")))
        for name, page in self.pages.items():
            with self.subTest(name):
                self.assertEqual(sorted(set(TICKED.findall(page)) - known), [])

    def test_links_lead_to_pages(self):
        for name, page in self.pages.items():
            with self.subTest(name):
                for link in re.findall(r"\]\(([^)]*)\)", page):
                    self.assertIn(link.removesuffix(".md"), self.pages)


if __name__ == "__main__":
    unittest.main()
