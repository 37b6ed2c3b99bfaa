#!/usr/bin/env python3
"""Every public function takes NULL for each of its pointers, and options of any struct_size, without a
crash, and refuses them with words.

The calls are made by null_calls. A call that kills it is a failure, and the calls behind that one are
made by a new process, so that one crash hides no other.

usage: test_null.py NULL_CALLS
"""
import os
import subprocess
import sys
import tempfile

CALLS_AT_LEAST = 300  # fewer: the headers were not read


def main():
    failures, made, begin = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="mf-null-") as folder:
        os.chmod(folder, 0o700)
        report = os.path.join(folder, "report")
        env = dict(os.environ, HOME=folder, XDG_RUNTIME_DIR=folder)
        while True:
            got = subprocess.run([sys.argv[1], str(begin), report], env=env, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, check=False)
            lines = got.stdout.splitlines()
            made += len(lines)
            if got.returncode == 0:
                break
            last = lines[-1] if lines else ""
            failures.append(f"{last or 'the preparation'}: ended with {got.returncode}\n{got.stderr[-500:]}")
            if not last:
                break
            begin = int(last.split()[0]) + 1
        if os.path.exists(report):
            with open(report, encoding="utf-8") as file:
                failures += file.read().splitlines()
    for failure in failures:
        print(failure)
    print(f"{made} calls with NULL, {len(failures)} failed")
    return 1 if failures or made < CALLS_AT_LEAST else 0


if __name__ == "__main__":
    sys.exit(main())
