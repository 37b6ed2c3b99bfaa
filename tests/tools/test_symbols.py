"""What the shared library exports is what the public headers declare, in both directions."""

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
        paths = (glob.glob(f"{SOURCE}/*/include/multifrost/*.h") +
                 glob.glob(f"{SOURCE}/core/*/include/multifrost/*.h"))
        for path in paths:
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
        """As plugins and bindings do: it takes no static room for thread-local variables."""
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
