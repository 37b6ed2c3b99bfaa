"""An installed library is found by pkg-config and by find_package, and works."""

import glob
import os
import subprocess
import tempfile
import unittest

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]
CMAKE = """cmake_minimum_required(VERSION 3.25)
project(consumer C)
find_package(multifrost 0.1 REQUIRED)
add_executable(consumer {source})
target_link_libraries(consumer PRIVATE multifrost::{library})
"""


def run(*words, **options):
    result = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise AssertionError(f"{words}: {result.stdout}{result.stderr}")
    return result.stdout


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.prefix = os.path.join(cls.directory.name, "prefix")
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        (pkgconfig,) = glob.glob(f"{cls.prefix}/lib/**/pkgconfig", recursive=True)
        cls.libraries = os.path.dirname(pkgconfig)
        cls.environment = {
            **os.environ,
            "PKG_CONFIG_PATH": pkgconfig,
            "LD_LIBRARY_PATH": cls.libraries,
            "MULTIFROST_EXEC": f"{cls.prefix}/libexec/multifrost/multifrost-exec",
        }

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def check_program(self, program):
        output = run(program, f"{BUILD}/examples/hello_worker", env=self.environment)
        self.assertEqual(output, "1 + 2 = 3\n")

    def test_files(self):
        names = {os.path.basename(path) for path in glob.glob(f"{self.prefix}/**", recursive=True)}
        for wanted in ("libmultifrost.so.0.1", "libmultifrost.a", "multifrost.h", "version.h", "multifrost.pc", "multifrost-exec"):
            self.assertIn(wanted, names)

    def test_pkg_config(self):
        prefix = f"--define-variable=prefix={self.prefix}"
        flags = run("pkg-config", prefix, "--cflags", "--libs", "multifrost", env=self.environment).split()
        program = f"{self.directory.name}/by-pkg-config"
        source = f"{SOURCE}/examples/hello_parent.c"
        run("gcc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", source, "-o", program, *flags)
        self.check_program(program)

    def test_find_package(self):
        for library in ("multifrost", "multifrost_static"):
            place = os.path.join(self.directory.name, library)
            os.mkdir(place)
            with open(f"{place}/CMakeLists.txt", "w", encoding="utf-8") as file:
                file.write(CMAKE.format(source=f"{SOURCE}/examples/hello_parent.c", library=library))
            run("cmake", "-S", place, "-B", f"{place}/build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}")
            run("cmake", "--build", f"{place}/build")
            self.check_program(f"{place}/build/consumer")


if __name__ == "__main__":
    unittest.main()
