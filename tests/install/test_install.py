"""The installed files are the listed ones, may be moved, and serve programs in C11 and C++17,
shared and static, that find the library with pkg-config or CMake."""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]
HERE = os.path.dirname(os.path.abspath(__file__))
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual -Wwrite-strings -Werror".split()
COMPILERS = {"c": ("gcc", "-std=c11"), "c++": ("g++", "-std=c++17")}


def run(*words, **options):
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=100, **options)
    if result.returncode != 0:
        raise AssertionError(f"{words}: {result.stdout}{result.stderr}")
    return result.stdout


def build_type():
    with open(f"{BUILD}/CMakeCache.txt", encoding="utf-8") as file:
        return re.search(r"^CMAKE_BUILD_TYPE:\w+=(\w+)$", file.read(), re.MULTILINE).group(1).lower()


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        first = os.path.join(cls.directory.name, "first")
        cls.prefix = os.path.join(cls.directory.name, "moved")
        run("cmake", "--install", BUILD, "--prefix", first)
        os.rename(first, cls.prefix)
        cls.version = run("pkg-config", "--modversion", f"{cls.prefix}/lib/pkgconfig/multifrost.pc").strip()
        cls.environment = {name: value for name, value in os.environ.items() if not name.startswith("MULTIFROST")}
        cls.environment["PKG_CONFIG_PATH"] = f"{cls.prefix}/lib/pkgconfig"

    def check_consumer(self, program):
        environment = {**self.environment, "LD_LIBRARY_PATH": f"{self.prefix}/lib"}
        self.assertEqual(run(program, env=environment), f"1 + 2 = 3 with {self.version}\n")

    def test_files_are_those_listed(self):
        major, minor, patch = self.version.split(".")
        with open(f"{HERE}/installed.txt", encoding="utf-8") as file:
            text = file.read()
        for name, value in {"MAJOR": major, "MINOR": minor, "PATCH": patch, "BUILDTYPE": build_type()}.items():
            text = text.replace(name, value)
        found = [
            os.path.relpath(os.path.join(folder, name), self.prefix)
            for folder, _, names in os.walk(self.prefix)
            for name in names
        ]
        self.assertEqual(sorted(found), sorted(text.split()))

    def test_nothing_installed_names_the_build_tree(self):
        for path in glob.glob(f"{self.prefix}/**/*.cmake", recursive=True) + glob.glob(f"{self.prefix}/**/*.pc", recursive=True):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            self.assertNotIn(SOURCE, text, path)
            self.assertNotIn(BUILD, text, path)

    def test_each_header_compiles_alone(self):
        headers = [
            os.path.relpath(path, f"{self.prefix}/include")
            for path in glob.glob(f"{self.prefix}/include/**/*.h", recursive=True)
        ]
        self.assertGreater(len(headers), 14)
        for language, (compiler, standard) in COMPILERS.items():
            for header in headers:
                # Twice, because its guard is part of it.
                text = f"#include <{header}>\n#include <{header}>\nextern int unit;\nint unit = 1;\n"
                run(compiler, standard, *WARNINGS, "-fsyntax-only", "-I", f"{self.prefix}/include", "-x", language, "-", input=text)

    def test_pkg_config(self):
        flags = run("pkg-config", "--cflags", "--libs", "multifrost", env=self.environment).split()
        for language, (compiler, standard) in COMPILERS.items():
            program = f"{self.directory.name}/by-pkg-config-{language}"
            run(compiler, standard, *WARNINGS, "-x", language, f"{HERE}/consumer.c", "-x", "none", "-o", program, *flags)
            self.check_consumer(program)

    def test_pkg_config_static(self):
        # Not --static: Debian's libzmq.pc then names a library that is not there. The archive is
        # ours, what it needs is linked as the system has it.
        needed = run("pkg-config", "--print-requires-private", "multifrost", env=self.environment)
        self.assertIn("libzmq >= 4.3.4", needed)
        flags = run("pkg-config", "--cflags", "multifrost", env=self.environment).split()
        flags += [f"{self.prefix}/lib/libmultifrost.a", "-lpthread", "-lm"]
        flags += run("pkg-config", "--libs", *(line.split()[0] for line in needed.splitlines())).split()
        # A program that holds the library finds the helper beside itself, as in <prefix>/bin.
        os.makedirs(f"{self.prefix}/bin", exist_ok=True)
        self.addCleanup(shutil.rmtree, f"{self.prefix}/bin")
        program = f"{self.prefix}/bin/static-consumer"
        run("gcc", "-std=c11", *WARNINGS, f"{HERE}/consumer.c", "-o", program, *flags)
        self.assertNotIn("libmultifrost", run("ldd", program))
        self.check_consumer(program)

    def test_find_package(self):
        for target, components in (("multifrost::multifrost", ""), ("multifrost::multifrost_static", "static")):
            place = os.path.join(self.directory.name, target.replace("::", "-"))
            self.configure(place, target, components, self.version.rpartition(".")[0])
            run("cmake", "--build", place)
            environment = dict(self.environment)
            if components:
                environment["MULTIFROST_EXEC"] = f"{self.prefix}/libexec/multifrost/multifrost-exec"
            for language in ("c", "cpp"):
                self.assertEqual(run(f"{place}/consumer_{language}", env=environment), f"1 + 2 = 3 with {self.version}\n")

    def test_another_minor_version_is_refused(self):
        place = os.path.join(self.directory.name, "refused")
        with self.assertRaisesRegex(AssertionError, "version: " + re.escape(self.version)):
            self.configure(place, "multifrost::multifrost", "", "0.99")

    def configure(self, place, target, components, version):
        run(
            "cmake", "-S", HERE, "-B", place, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DWANTED_TARGET={target}", f"-DWANTED_COMPONENTS={components}", f"-DWANTED_VERSION={version}",
            env=self.environment,
        )  # fmt: skip

    def test_driver_script_explains_itself(self):
        self.assertIn("--prefix DIR", run(f"{SOURCE}/dev", "install", "--help"))
        for words in ([], ["--prefix"], ["--prefix", ""], ["elsewhere"]):
            with self.assertRaisesRegex(AssertionError, "usage: ./dev install"):
                run(f"{SOURCE}/dev", "install", *words)


if __name__ == "__main__":
    unittest.main()
