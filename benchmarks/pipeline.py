# SPDX-License-Identifier: BSD-3-Clause
"""Run fasttime.experiments.pipeline, or draw it; --help shows the options."""

import sys

from _common import run_experiment

from fasttime.experiments import pipeline
from fasttime.experiments.pipeline_figure import draw

if __name__ == "__main__":
    sys.exit(run_experiment(pipeline, draw))
