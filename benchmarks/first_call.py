# SPDX-License-Identifier: BSD-3-Clause
"""Run fasttime.experiments.first_call; --help shows the options."""

import sys

from _common import run_experiment

from fasttime.experiments import first_call

if __name__ == "__main__":
    sys.exit(run_experiment(first_call))
