# SPDX-License-Identifier: BSD-3-Clause
"""Run fasttime.experiments.pipeline; --help shows the options."""

import sys

from _common import run_experiment

from fasttime.experiments import pipeline

if __name__ == "__main__":
    sys.exit(run_experiment(pipeline))
