"""The rules of dashboards/rules under promtool: each alert fires where it should, stays quiet where it should, and says
something whole when it fires."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

from cases import FIRES, QUIET

SOURCE = os.environ["MF_SOURCE_DIR"]
TOOLS = os.environ.get("MF_TEST_PROMETHEUS_DIR", "")
RULES = [os.path.join(SOURCE, "dashboards", "rules", name) for name in ("recording.yml", "alerts.yml")]
ANNOTATIONS = {"summary", "description", "runbook_url", "dashboard_url"}

sys.path.insert(0, os.path.join(SOURCE, "tests", "docs"))
import promql  # noqa: E402


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def rules(kind):
    return [rule for path in RULES for group in yaml.safe_load(read(path))["groups"] for rule in group["rules"] if kind in rule]


def series_name(name, labels):
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in sorted(labels.items())) + "}"


def inputs(case):
    return {"interval": case.interval, "input_series": [{"series": series, "values": values} for series, values in case.series]}


def state_test(name, case):
    """What Prometheus keeps of the alerts of that name that fire: the ones of `case` and no others."""
    severity = "" if case.labels is None else f',severity="{case.labels["severity"]}"'
    labels = None if case.labels is None else case.labels | {"alertname": name, "alertstate": "firing"}
    return inputs(case) | {"promql_expr_test": [{
        "expr": f'ALERTS{{alertname="{name}",alertstate="firing"{severity}}}',
        "eval_time": case.at,
        "exp_samples": [] if labels is None else [{"labels": series_name("ALERTS", labels), "value": 1}],
    }]}


def text_test(name, case):
    """Is wrong where the alert fires, so that promtool prints what the alert says."""
    return inputs(case) | {"alert_rule_test": [{"alertname": name, "eval_time": case.at, "exp_alerts": []}]}


@unittest.skipUnless(TOOLS, "MF_TEST_PROMETHEUS_DIR is not set")
class RulesTest(unittest.TestCase):
    def promtool(self, *arguments):
        return subprocess.run([os.path.join(TOOLS, "promtool"), *arguments], capture_output=True, text=True, check=False)

    def run_tests(self, tests):
        """Tests of one interval go together: it is the interval of the evaluations too. Returns what promtool said, and
        whether it was content."""
        said, is_right = "", True
        for interval in {test["interval"] for test in tests}:
            chosen = [test for test in tests if test["interval"] == interval]
            with tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "test.yml")
                with open(path, "w", encoding="utf-8") as file:
                    yaml.safe_dump({"rule_files": RULES, "evaluation_interval": interval, "tests": chosen}, file)
                result = self.promtool("test", "rules", path)
            said += result.stdout + result.stderr
            is_right = is_right and result.returncode == 0
        return said, is_right

    def test_rules_are_checked(self):
        result = self.promtool("check", "rules", *RULES)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)

    def test_each_alert_has_cases(self):
        names = {rule["alert"] for rule in rules("alert")}
        self.assertEqual(set(FIRES), names)
        self.assertEqual(set(QUIET), names)
        severities = {(rule["alert"], rule["labels"]["severity"]) for rule in rules("alert")}
        self.assertEqual({(name, case.labels["severity"]) for name, cases in FIRES.items() for case in cases}, severities)

    def test_cases_name_what_is_there(self):
        families = promql.read_page(read(os.path.join(SOURCE, "docs", "metrics.md")))
        for name in FIRES:
            for series in [series for case in FIRES[name] + QUIET[name] for series, _ in case.series]:
                with self.subTest(series):
                    self.assertEqual(promql.wrong_names(series, families), [])

    def check_states(self, cases):
        said, is_right = self.run_tests([state_test(name, case) for name in cases for case in cases[name]])
        self.assertTrue(is_right, said)

    def test_alerts_fire(self):
        self.check_states(FIRES)

    def test_alerts_stay_quiet(self):
        self.check_states(QUIET)

    def test_alerts_say_something_whole(self):
        output, _ = self.run_tests([text_test(name, case) for name in FIRES for case in FIRES[name]])
        said = [(block.split(",")[0], text) for block in output.split("alertname: ")[1:]
                for text in re.findall(r"Annotations:\{([^\n]*)\}", block)]
        self.assertEqual({name for name, _ in said}, set(FIRES), output)
        for name, text in said:
            with self.subTest(name):
                self.check_text(name, text)

    def check_text(self, name, text):
        found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text))
        self.assertEqual(set(found), ANNOTATIONS)
        self.assertEqual(found["runbook_url"], f"docs/runbooks/{name}.md")
        self.assertTrue(found["description"].startswith("Rule: "), found["description"])
        for word in ("<no value>", "<error", "NaN", "%!", "{{"):
            self.assertNotIn(word, text)
        for label in re.findall(r"(?:var-\w+)=([^&\"]*)", found["dashboard_url"]):
            self.assertNotEqual(label, "", found["dashboard_url"])

    def test_links_lead_to_what_is_there(self):
        uids = {}
        for name in os.listdir(os.path.join(SOURCE, "dashboards")):
            if name.endswith(".json"):
                board = json.loads(read(os.path.join(SOURCE, "dashboards", name)))
                uids[board["uid"]] = {variable["name"] for variable in board["templating"]["list"]}
        for rule in rules("alert"):
            with self.subTest(rule["alert"]):
                self.assertTrue(os.path.exists(os.path.join(SOURCE, rule["annotations"]["runbook_url"])))
                uid, _, query = rule["annotations"]["dashboard_url"].removeprefix("d/").partition("?")
                self.assertIn(uid, uids)
                self.assertLessEqual(set(re.findall(r"var-(\w+)=", query)), uids[uid])

    def test_recorded_series_are_named_by_level_metric_and_operation(self):
        for rule in rules("record"):
            self.assertRegex(rule["record"], r"^[a-z_]+:multifrost_[a-z_]+:[a-z0-9_]+$")


if __name__ == "__main__":
    unittest.main()
