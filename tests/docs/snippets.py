"""Reads the code blocks of a page, and builds and runs each kind.

The first line of every block states its kind:

    c program=NAME       a whole program; runs without arguments
    c worker=NAME        a whole program that others spawn as ./NAME
    c service=NAME       a whole program that runs beside the rest of the page
    c handlers           functions of the page's worker, registered under their own names
    c functions          functions for the next fragment
    c fragment           statements that use `runtime`, `parent`, `worker`, `status` and `error`
    c options            statements that set `options`, from which a parent is then made
    cpp program=NAME     the same in C++17
    python program=NAME, python worker=NAME
    sh                   commands that run in the folder of the programs
    sh no-run            commands that do not run; the test lists them with a reason
    json                 lines of JSON
    text                 text that is no code
    output               the output of the block before it; "..." stands for any text

A block that runs prints nothing, unless an output block follows. Every program exits with 0.
"""

import json
import os
import re
import signal
import subprocess
import tempfile

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]
HERE = os.path.dirname(os.path.abspath(__file__))
FENCE = re.compile(r"^( *)```(.*)$")
KINDS = {
    "c": {"program", "worker", "service", "handlers", "functions", "fragment", "options"},
    "cpp": {"program"},
    "python": {"program", "worker"},
    "sh": {"", "no-run"},
    "json": {""},
    "text": {""},
    "output": {""},
}
RUNS = {"program", "fragment", "options", ""}
NAMED = {"program", "worker", "service"}


class Block:
    """One fenced block."""

    def __init__(self, page, line, info):
        self.page, self.line, self.info = page, line, info
        words = info.split()
        self.language = words[0] if words else ""
        role, _, self.name = (words[1] if len(words) > 1 else "").partition("=")
        self.role = role
        self.text = ""
        self.output = ""
        if role not in KINDS.get(self.language, ()) or len(words) > 2:
            raise SyntaxError(f"{self}: '{info}' does not say what the block is")
        if (role in NAMED) != bool(self.name):
            raise SyntaxError(f"{self}: '{info}' needs a name, or must not have one")

    def __str__(self):
        return f"{self.page}:{self.line}"

    def runs(self):
        return self.language in ("c", "cpp", "python", "sh") and self.role in RUNS


def read_blocks(page, text):
    """All blocks; outputs are attached to the block before them."""
    blocks = []
    block = None
    indent = ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if block is None and fence:
            indent = fence.group(1)
            block = Block(page, number, fence.group(2))
        elif block is not None and fence:
            if block.language == "output":
                if not blocks or not blocks[-1].runs():
                    raise SyntaxError(f"{block}: an output without a block that runs")
                blocks[-1].output = block.text
            else:
                blocks.append(block)
            block = None
        elif block is not None:
            block.text += line[len(indent) :] + "\n"
    if block is not None:
        raise SyntaxError(f"{block}: the block has no end")
    return blocks


def matches(wanted, got):
    pattern = ".*?".join(re.escape(part) for part in wanted.split("..."))
    return re.fullmatch(pattern, got, re.DOTALL) is not None


def warnings():
    """The flags that our own code is compiled with."""
    with open(os.path.join(SOURCE, "cmake", "MultifrostWarnings.cmake"), encoding="utf-8") as file:
        flags = re.findall(r"-W[\w=-]+", file.read())
    return [*dict.fromkeys([*flags, "-Werror"])]


def include_flags():
    with open(f"{BUILD}/rooms.txt", encoding="utf-8") as file:
        folders = [f"{SOURCE}/{line.split()[1]}/include" for line in file]
    return [f"-I{folder}" for folder in [*folders, f"{BUILD}/include"]]


FOR_C_ALONE = {"-Wstrict-prototypes", "-Wmissing-prototypes", "-Wold-style-definition"}
LIBRARY = ["-L", BUILD, f"-Wl,-rpath,{BUILD}", "-lmultifrost", "-lpthread", "-lm"]


class Page:
    """Builds and runs the blocks of one page in a folder and a home of its own."""

    def __init__(self, page, text):
        self.blocks = read_blocks(page, text)
        self.temp = tempfile.TemporaryDirectory()
        self.folder = self.temp.name
        self.home = os.path.join(self.folder, "home")
        os.mkdir(self.home)
        self.environment = {
            **os.environ,
            "HOME": self.home,
            "PATH": f"/usr/bin:/bin:{os.environ['PATH']}",  # where Debian's Python is
            "PYTHONPATH": f"{SOURCE}/examples/peers",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.environment.pop("COMLINK_ZMQ_PORT", None)
        self.services = []
        self.functions = ""
        self.serial = 0
        self.worker_tried = False

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def execute(self, words, **more):
        return subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False, **more
        )

    def compile(self, block, source, target, *flags):
        words = ["gcc", "-std=c11", "-D_GNU_SOURCE", *warnings()]
        if block.language == "cpp":
            words = ["g++", "-std=c++17", *(flag for flag in warnings() if flag not in FOR_C_ALONE)]
        result = self.execute([*words, *flags, *include_flags(), "-I", self.folder, source, "-o", self.path(target), *LIBRARY])
        if result.returncode != 0:
            raise AssertionError(f"{block} does not compile:\n{result.stderr}")

    @staticmethod
    def numbered(block):
        return f'#line {block.line + 1} "{block.page}"\n{block.text}'

    # ---- One block ----

    def build_worker(self):
        """The worker of the page's fragments, with the handlers of all of the page."""
        blocks = [block for block in self.blocks if block.role == "handlers"]
        text = "".join(self.numbered(block) for block in blocks)
        names = re.findall(r"^static mf_status (\w+)\(mf_request", text, re.MULTILINE)
        self.write("handlers.inc", text)
        table = ", ".join(f'{{"{name}", {name}}}' for name in names) or '{"_", add}'
        some = blocks[0] if blocks else self.blocks[0]
        self.compile(some, f"{HERE}/worker.c", "worker-of-page", f"-DHANDLERS={table}")

    def build(self, block):
        """Leaves a program; the words that run it."""
        if block.language == "sh":
            return ["sh", "-euc", block.text]
        if block.language == "python":
            path = self.write(block.name, "#!/usr/bin/python3\n" + block.text)
            os.chmod(path, 0o700)
            return [path]
        if block.role in NAMED:
            source = self.write(f"{block.name}.{block.language}", self.numbered(block))
            self.compile(block, source, block.name)
            return [f"./{block.name}"]
        if not self.worker_tried:
            self.worker_tried = True
            self.build_worker()
        if not os.path.exists(self.path("worker-of-page")):
            raise AssertionError(f"{block} has no worker, whose handlers do not compile")
        self.serial += 1
        self.write("functions.inc", self.functions)
        self.write("fragment.inc", self.numbered(block))
        self.functions = ""
        flags = ["-DFILLS_OPTIONS"] if block.role == "options" else []
        self.compile(block, f"{HERE}/fragment.c", f"fragment-{self.serial}", *flags)
        return [f"./fragment-{self.serial}", "./worker-of-page"]

    def run(self, block):
        """Builds and runs one block, and compares what it prints."""
        if block.language == "json":
            for line in block.text.splitlines():
                json.loads(line)
        elif block.role == "functions":
            self.functions += self.numbered(block)
        elif block.language == "text" or block.role in ("handlers", "no-run"):
            pass
        elif block.role == "worker":
            self.build(block)
        elif block.role == "service":
            words = self.build(block)
            self.services.append(subprocess.Popen(words, cwd=self.folder, env=self.environment))
        else:
            result = self.execute(self.build(block))
            if result.returncode != 0:
                raise AssertionError(f"{block} ends with {result.returncode}:\n{result.stdout}{result.stderr}")
            if not matches(block.output, result.stdout):
                raise AssertionError(f"{block} printed\n{result.stdout}instead of\n{block.output}{result.stderr}")

    def close(self):
        """Ends the services; each has to end well."""
        for service in self.services:
            service.send_signal(signal.SIGTERM)
        statuses = [service.wait(20) for service in self.services]
        self.temp.cleanup()
        if any(statuses):
            raise AssertionError(f"services ended with {statuses}")
