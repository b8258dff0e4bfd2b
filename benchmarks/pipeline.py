# SPDX-License-Identifier: BSD-3-Clause
"""Run the experiment fasttime.experiments.pipeline, or draw it. --help shows the options."""

import sys

from _common import run_experiment
from pipeline_figure import draw

from fasttime.experiments import pipeline

if __name__ == "__main__":
    sys.exit(run_experiment(pipeline, draw))
