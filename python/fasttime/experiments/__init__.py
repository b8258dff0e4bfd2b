# SPDX-License-Identifier: BSD-3-Clause
"""Three experiments that show how the ways to time a model on a GPU differ.

Each is a module with ``run(settings, track)``, ``table(result)`` and ``sentence(results)``:

* `first_call`: what one clock reading around the very first call is worth;
* `single_model`: naive, sync and events on one model;
* `pipeline`: two models with a CPU task between them, and what timing them does to the whole.

They need torchvision: ``pip install 'fasttime[demo]'``. ``fasttime demo`` and the scripts in
``benchmarks/`` run them.
"""
