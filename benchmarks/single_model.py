# SPDX-License-Identifier: BSD-3-Clause
"""Run the experiment fasttime.experiments.single_model. --help shows the options."""

import sys

from _common import run_experiment

from fasttime.experiments import single_model

if __name__ == "__main__":
    sys.exit(run_experiment(single_model))
