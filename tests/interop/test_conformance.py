"""One end in C, the other in Python or JavaScript, in spawn or connect mode.

    test_conformance.py parent|child python|js spawn|connect     which end is in C, the peer, the mode
"""

import sys
import unittest

import features
from suite_base import CASE, SEEN, Conformance
from suite_child import ChildInC
from suite_parent import ParentInC


def main():
    chosen = ParentInC if CASE[0] == "parent" else ChildInC
    names = [name for kind in (Conformance, chosen) for name in vars(kind) if name.startswith("test_")]
    if CASE[2] == "spawn":
        names = [name for name in names if not name.startswith("test_service_")]
    names = sys.argv[4:] or names
    result = unittest.TextTestRunner(verbosity=2).run(unittest.TestSuite(map(chosen, names)))
    if result.wasSuccessful() and not sys.argv[4:]:
        features.save(CASE, SEEN)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
