"""What a fire drill needs: the program that it breaks, a Prometheus with the shipped rules, and a look at all that they
say."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

SOURCE = os.environ.get("MF_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MF_BUILD_DIR") or os.path.join(SOURCE, "build", "dev")
TOOLS = os.environ.get("MF_TEST_PROMETHEUS_DIR", "")
PROGRAM = os.path.join(BUILD, "tests", "drill", "patient")
RULES = os.path.join(SOURCE, "dashboards", "rules")
SCALE = 60
PATIENCE = 300  # seconds: a minute of /health is a minute, and the machine may be busy
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def fetch(url, headers=None):
    """The body, of any code."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def until(condition, what, patience=PATIENCE):
    """Waits for what has no event of its own."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{what} did not happen in {patience} s")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- Rules ----


def alert_blocks(text):
    """Name and text of each alert; first what is before them."""
    head, *blocks = re.split(r"(?m)^(?=      - alert: )", text)
    return head, [(re.search(r"alert: (\w+)", block).group(1), block) for block in blocks]


def takes_days(block):
    return re.search(r"\[\d+d\]", block) is not None


def faster(text):
    """The same rules on another clock: a minute takes a second."""

    def divided(match):
        return f"{int(match.group(1)) * UNITS[match.group(2)] * 1000 // SCALE}ms"

    text = re.sub(r"(?<=\[)(\d+)([smhd])(?=\])", divided, text)
    text = re.sub(r"(?<=for: )(\d+)([smhd])$", divided, text, flags=re.MULTILINE)
    return re.sub(r"(?<=age_seconds > )\d+", lambda match: str(int(match.group()) / SCALE), text)


def drilled_rules(name):
    with open(os.path.join(RULES, name), encoding="utf-8") as file:
        head, blocks = alert_blocks(file.read())
    # The first line of the next group ends a block, so what is left of a block that is dropped stays.
    kept = [block if not takes_days(block) else "".join(re.findall(r"(?ms)^  - name: .*", block)) for _, block in blocks]
    return faster(head + "".join(kept))


class Prometheus:
    """Debian's Prometheus with the shipped rules, a minute of which takes a second here."""

    def __init__(self, directory, targets):
        for name in ("recording.yml", "alerts.yml"):
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(drilled_rules(name))
        config = os.path.join(directory, "prometheus.yml")
        jobs = [{"job_name": "multifrost", "static_configs": [{"targets": targets}]}]
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": jobs,
                       "rule_files": ["recording.yml", "alerts.yml"]}, file)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(os.path.join(directory, "prometheus.log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [os.path.join(TOOLS, "prometheus"), f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
             f"--web.listen-address={self.url[7:]}"], stdout=self.log, stderr=self.log)
        until(self.is_ready, "a first evaluation of Prometheus")

    def get(self, path):
        return json.loads(fetch(f"{self.url}/api/v1/{path}"))["data"]

    def is_ready(self):
        try:
            groups = self.get("rules")["groups"]
            return groups and self.get("query?query=min(count_over_time(up[30s]))>2")["result"]
        except (OSError, ValueError):
            return False

    def firing(self):
        return {alert["labels"]["alertname"]: alert["annotations"]["summary"]
                for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Patient:
    """The program that is broken."""

    def __init__(self, directory, number, options):
        self.directory, self.options = directory, options
        self.log = os.path.join(directory, f"patient-{number}.log")
        self.admin_path = os.path.join(directory, f"admin-{number}")
        self.process, self.port = None, 0

    def start(self):
        """On the same port, if it ran before."""
        arguments = {"admin": self.admin_path, "log": self.log, "registry": self.directory, "port": self.port} | self.options
        self.process = subprocess.Popen([PROGRAM, *(f"{key}={value}" for key, value in arguments.items())],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("port "):
            raise RuntimeError(f"the program did not start: {line}")
        self.port = int(line.split()[1])
        self.address = f"127.0.0.1:{self.port}"

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError(f"the program ended with {self.process.returncode}")

    def command(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "ok\n":
            raise RuntimeError(f"the program did not obey: {line}")

    def admin(self, **fields):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(self.admin_path)
            link.sendall(json.dumps(fields).encode() + b"\n")
            answer = json.loads(link.makefile().readline())
        if not answer["ok"]:
            raise RuntimeError(f"{fields}: {answer}")

    def fault(self, kind, **fields):
        self.admin(command="fault", target="math", kind=kind, for_ms=3600000, **fields)

    def clear_fault(self):
        self.admin(command="fault", action="clear", target="math")

    def get(self, path):
        return json.loads(fetch(f"http://{self.address}{path}"))

    def worker_pid(self, target="math"):
        return self.get(f"/circuits/{target}")["circuits"][0]["worker"]["pid"]

    def signal(self, number):
        self.process.send_signal(number)

    def limit(self, what, figure):
        """The soft limit; None: as the hard one."""
        hard = resource.prlimit(self.process.pid, what)[1]
        resource.prlimit(self.process.pid, what, (hard if figure is None else figure, hard))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    # ---- What it says ----

    def checks(self):
        """Those that do not pass, with what they say."""
        found = {}
        for name, results in self.get("/health")["checks"].items():
            for result in results:
                if result["status"] != "pass":
                    found[name] = f'{result["status"]}: {result.get("output", "")}'
        return found

    def circuits(self):
        return {entry["target"]: entry["state"] + (f' ({entry["trip"]["rule"]})' if entry.get("trip") else "")
                for entry in self.get("/circuits")["circuits"] if entry["state"] not in ("closed", "disabled")}

    def figures(self):
        """What /overview shows of a target or worker that is not as it should be."""
        seen, page = [], self.get("/overview")
        for row in page["targets"]:
            for name, limit in (("p99_seconds", 1), ("oldest_call_seconds", 5), ("errors", 0), ("app_errors", 0), ("queue_depth", 10)):
                if (row.get(name) or 0) > limit:
                    seen.append(f'{row["target"]} {name} {row[name]:.3g}')
        return seen + [f'{row["worker"]} {row["state"]}' for row in page["workers"] if row["state"] != "ready"]

    def events(self, since):
        """Warnings and errors of the log, from an offset on."""
        with open(self.log, encoding="utf-8") as file:
            file.seek(since)
            return [record for record in map(read_record, file) if record.get("level") in ("warn", "error", "fatal")]


def read_record(line):
    try:
        return json.loads(line)
    except ValueError:
        return {}  # is being written, or was cut by a full disk


class Service:
    """A service that the program finds by its name."""

    def __init__(self, directory, name):
        self.arguments = [PROGRAM, f"service={name}", f"registry={directory}"]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.arguments)

    def stop(self):
        self.process.kill()
        self.process.wait()
