"""The status page of the demo in a real browser: see browser.mjs for what each scenario does.

The browser is Debian's chromium, what drives it comes from npm (MF_PAGE_MODULES, which ./dev test
sets). Without one of them the scenarios are skipped, by name. Pictures stay in build/page/shots."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]
PAGE = ROOT / "http" / "page"
ENDPOINT = sys.argv.pop()
DEMO = pathlib.Path(os.environ["MF_BUILD_DIR"]) / "examples" / "demo" / "demo"
MODULES = pathlib.Path(os.environ.get("MF_PAGE_MODULES", ROOT / "build" / "page" / "node_modules"))
SHOTS = ROOT / "build" / "page" / "shots"
CHROMIUM = shutil.which("chromium")
SIZE_MAX = 80000  # bytes of all files together
MISSING = [
    name
    for name, found in (
        ("chromium", CHROMIUM),
        ("node", shutil.which("node")),
        ("playwright-core and axe-core", (MODULES / "playwright-core").is_dir()),
    )
    if not found
]


class FilesTest(unittest.TestCase):
    def test_files_are_small(self):
        sizes = {path.name: path.stat().st_size for path in PAGE.iterdir()}
        self.assertEqual(set(sizes), {"index.html", "page.css", "page.js"})
        self.assertLess(sum(sizes.values()), SIZE_MAX, sizes)

    def test_the_picture_of_the_documentation_is_small(self):
        self.assertLess((ROOT / "docs" / "page.png").stat().st_size, 150000)

    def test_nothing_comes_from_elsewhere(self):
        """And nothing is inline: the policy of the page would refuse it."""
        for path in PAGE.iterdir():
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            self.assertNotRegex(text, r"https?://|\burl\(|@import|innerHTML|insertAdjacentHTML", path)
        html = (PAGE / "index.html").read_text(encoding="utf-8")
        self.assertNotRegex(html, r"<style|\sstyle=|\son\w+=")
        self.assertEqual(re.findall(r"<script[^>]*>", html), ['<script src="/page.js" defer>'])


@unittest.skipIf(MISSING, f"there is no {', no '.join(MISSING)}")
class BrowserTest(unittest.TestCase):
    def run_scenario(self, name):
        SHOTS.mkdir(parents=True, exist_ok=True)
        program = ["node", FOLDER / "browser.mjs", name, DEMO, ENDPOINT, CHROMIUM, MODULES, SHOTS]
        done = subprocess.run(program, capture_output=True, text=True, timeout=280, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_loads_and_is_kept_up_to_date(self):
        self.run_scenario("loads")

    def test_shows_a_circuit_that_opens_and_closes(self):
        self.run_scenario("circuit")

    def test_shows_a_crash(self):
        self.run_scenario("crash")

    def test_outlives_the_service(self):
        self.run_scenario("restart")

    def test_is_accessible(self):
        self.run_scenario("access")

    def test_routes_lead_to_their_sections(self):
        self.run_scenario("links")

    def test_is_left_open_for_a_day(self):
        self.run_scenario("day")

    def test_tells_orders_of_operators_from_missing_rules(self):
        self.run_scenario("orders")

    def test_a_service_without_workers(self):
        self.run_scenario("bare")

    def test_an_idle_service(self):
        self.run_scenario("idle")


if __name__ == "__main__":
    unittest.main()
