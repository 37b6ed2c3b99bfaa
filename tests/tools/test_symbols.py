"""The shared library exports exactly the functions that the public headers declare."""

import glob
import os
import re
import subprocess
import unittest

BUILD = os.environ["MF_BUILD_DIR"]
SOURCE = os.environ["MF_SOURCE_DIR"]


def symbols(*arguments):
    output = subprocess.run(["nm", *arguments], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in output.splitlines() if line.strip()}


class SymbolsTest(unittest.TestCase):
    def test_exports_equal_declarations(self):
        declared = set()
        with open(f"{BUILD}/rooms.txt", encoding="utf-8") as file:
            folders = [line.split()[1] for line in file]
        headers = [path for folder in folders for path in glob.glob(f"{SOURCE}/{folder}/include/**/*.h", recursive=True)]
        for path in headers:
            with open(path, encoding="utf-8") as file:
                text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
            text = re.sub(r"^#(?:.*\\\n)*.*$", "", text, flags=re.MULTILINE)
            for declaration in re.findall(r"MF_API\b([^;]*);", text):
                found = re.search(r"\b(mf_\w+)\(", declaration)
                if found:
                    declared.add(found.group(1))
        exported = symbols("-D", "--defined-only", f"{BUILD}/libmultifrost.so")
        self.assertGreater(len(declared), 80)
        self.assertEqual(exported, declared)

    def test_can_be_loaded_at_run_time(self):
        """The library takes no static TLS, because plugins and bindings load it at run time."""
        dynamic = subprocess.run(["readelf", "-d", f"{BUILD}/libmultifrost.so"], capture_output=True,
                                 text=True, check=True).stdout
        self.assertIn("SONAME", dynamic)
        self.assertNotIn("STATIC_TLS", dynamic)

    def test_all_global_names_have_our_prefixes(self):
        for path in glob.glob(f"{BUILD}/**/mf_*.dir/**/*.o", recursive=True):
            if "test" in path:
                continue
            for name in symbols("--defined-only", "--extern-only", path):
                self.assertRegex(name, r"^(mf_|mfi_|__|_sub_)", path)


if __name__ == "__main__":
    unittest.main()
