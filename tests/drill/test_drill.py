"""The fire drill. Two failures, what the drill takes for wrong, and that no alert is left out; with "all", each failure."""

import glob
import os
import re
import sys
import tempfile
import unittest

import cases
import drill
import ward

ALL = sys.argv[1:] == ["all"]
SHORT = ("stuck_handler", "unnamed_circuit")  # /health forgets these at once, and failed calls after a minute


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def shipped():
    return ward.alert_blocks(read(os.path.join(ward.RULES, "alerts.yml")))[1]


@unittest.skipUnless(ward.TOOLS, "MF_TEST_PROMETHEUS_DIR is not set")
class DrillTest(unittest.TestCase):
    def check(self, case):
        with self.subTest(case.name), tempfile.TemporaryDirectory() as directory:
            result = drill.Drill(case, directory).run()
            drill.show(result)
            self.assertEqual(result["wrong"], [])
            self.assertIsNotNone(result["cleared_seconds"])
            self.assertLessEqual(case.alerts, result["said"]["alerts"].keys())

    def test_failures(self):
        for case in cases.CASES:
            if ALL or case.name in SHORT:
                self.check(case)


class CasesTest(unittest.TestCase):
    def test_the_short_ones_are_there(self):
        self.assertLessEqual(set(SHORT), {case.name for case in cases.CASES})

    def test_each_alert_is_drilled_or_left_to_promtool(self):
        drilled = {alert for case in cases.CASES for alert in case.alerts}
        self.assertEqual(drilled, {name for name, block in shipped() if not ward.takes_days(block)})
        days = {(name, re.search(r"severity: (\w+)", block).group(1)) for name, block in shipped() if ward.takes_days(block)}
        self.assertEqual(days, cases.PROMTOOL)

    def test_each_failure_is_named_by_an_alert_and_by_health(self):
        self.assertEqual(len(cases.FAILURES), 8)
        for case in cases.FAILURES:
            self.assertTrue(case.alerts and case.checks, case.name)

    def test_runbooks_name_the_line_of_the_drill(self):
        for path in glob.glob(os.path.join(ward.SOURCE, "docs", "runbooks", "*.md")):
            alert = os.path.basename(path)[:-3]
            with self.subTest(alert):
                names = re.findall(r"`\./dev drill --only (\w+)`", read(path))
                self.assertEqual(len(names), 1)
                self.assertTrue([case for case in cases.CASES if case.name == names[0] and alert in case.alerts])


class RulesTest(unittest.TestCase):
    def test_a_minute_takes_a_second(self):
        text = "expr: rate(a[5m]) / rate(b[1h])\n        for: 2m\n        for: 30s\nmax_age_seconds > 300\n"
        self.assertEqual(ward.faster(text), "expr: rate(a[5000ms]) / rate(b[60000ms])\n        for: 2000ms\n        for: 500ms\n"
                                            "max_age_seconds > 5.0\n")

    def test_alerts_with_windows_of_days_are_left_out_and_no_others(self):
        left = [name for name, _ in ward.alert_blocks(ward.drilled_rules("alerts.yml"))[1]]
        self.assertEqual(left, [name for name, block in shipped() if not ward.takes_days(block)])
        groups = re.compile(r"^  - name: .*", re.MULTILINE)
        self.assertEqual(groups.findall(ward.drilled_rules("alerts.yml")), groups.findall(read(os.path.join(ward.RULES, "alerts.yml"))))


class VerdictTest(unittest.TestCase):
    case = cases.Case("any", "", None, None, {"Wanted"}, {"math:queue"}, circuit="math", log={"event"}, beside={"Beside"})

    def test_what_tells_of_another_cause_is_wrong(self):
        said = {"alerts": {"Wanted": "", "Beside": "", "Other": "text"}, "health": {"math:queue": "", "math:workers": "down"}}
        self.assertEqual(drill.misleading(self.case, said), ["misleading: Other: text", "misleading: math:workers: down"])

    def test_what_nobody_says_is_missing(self):
        at = drill.Drill(self.case, "")
        self.assertEqual(at.unsaid(), {"Wanted", "math:queue", "event", "math"})
        at.said = {"alerts": {"Wanted": ""}, "health": {"math:queue": ""}, "circuits": {"math": "open"}, "log": {"event": ""}}
        self.assertEqual(at.unsaid(), set())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
