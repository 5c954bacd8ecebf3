"""The process of a configuration, for which the tests' subjects are loaded as well."""

from __future__ import annotations

from lib.recommender import subject
from lib.recommender.sweep_process import main

if __name__ == "__main__":
    subject.OWN = (*subject.OWN, "tests.")
    main()
