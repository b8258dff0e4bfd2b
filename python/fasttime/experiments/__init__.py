# SPDX-License-Identifier: BSD-3-Clause
"""Two experiments that show how ways to time a model on a GPU differ.

Each is a module with ``run(settings, track)``, ``table(result)`` and ``sentence(results)``:

* `single_model`: the naive, the sync and the event method on one model;
* `pipeline`: two models with a CPU task between them, and how timing them changes the whole.

They need torchvision: ``pip install 'fasttime[demo]'``. ``fasttime demo`` and the scripts in
``benchmarks/`` run them.
"""
