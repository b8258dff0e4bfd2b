#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Everything that needs a GPU, in one go: builds and installs this checkout, runs the GPU tests and
# the benchmarks, and leaves the results in $OUT (default: benchmarks/results) as JSON, with the logs
# beside them, and all of it in results.tar.gz. Exits non-zero if a step failed; runs them all first.
#
#   benchmarks/run_on_gpu.sh [step ...]
#
# Steps: tests, report (the README's example), experiments, figures (the pictures of docs), accuracy
# (against other tools; nvcc, and what there is of triton and cupy), commands (those of the shell),
# overhead, threads, layers, soak; without any, all of them, in some fifteen minutes. On a machine
# with two GPUs: devices.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-benchmarks/results}
results=$out/results
mkdir -p "$results"
steps=${*:-tests report experiments figures accuracy commands overhead threads layers soak}
failed=()

step() { # step NAME COMMAND...
  local name=$1
  shift
  echo "=== $name"
  if ! "$@" 2>&1 | tee "$results/$name.log"; then
    failed+=("$name")
  fi
}

nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.max.sm --format=csv | tee "$results/gpu.txt"
step build python3 -m pip install --quiet --no-build-isolation --no-deps .
for name in $steps; do
  case $name in
    tests)
      FASTTIME_REQUIRE_CUDA=1 step tests python3 -m pytest -q -m gpu -p no:cacheprovider
      ;;
    experiments)
      step first_call python3 benchmarks/first_call.py --json "$results/first_call.json"
      step single_model python3 benchmarks/single_model.py --json "$results/single_model.json"
      step pipeline python3 benchmarks/pipeline.py --rounds 7 --json "$results/pipeline.json"
      ;;
    figures)
      step figures python3 benchmarks/pipeline.py --figure "$results/figures"
      ;;
    accuracy)
      step accuracy python3 benchmarks/accuracy.py --json "$results/accuracy.json"
      ;;
    devices)
      FASTTIME_REQUIRE_CUDA=1 FASTTIME_REQUIRE_CUDA_DEVICES=2 step devices \
        python3 -m pytest -q -m gpu -p no:cacheprovider tests/gpu/test_devices_on_gpu.py
      ;;
    commands)
      step env fasttime env
      step run fasttime run --html "$results/run.html" --json "$results/run.json" \
        --trace "$results/run_trace.json.gz" benchmarks/report_example.py
      step bench fasttime bench torchvision:mobilenet_v3_large --batch 1 --processes 3 \
        -o "$results/bench.json"
      ;;
    report)
      step report python3 benchmarks/report_example.py
      ;;
    threads)
      step core_threads python3 benchmarks/core_threads.py --json "$results/core_threads.json"
      ;;
    layers)
      step leaf_layers python3 benchmarks/leaf_layers.py --json "$results/leaf_layers.json"
      ;;
    soak)
      step soak python3 benchmarks/soak.py --json "$results/soak.json"
      ;;
    overhead)
      step scope_overhead python3 benchmarks/scope_overhead.py --json "$results/scope_overhead.json"
      ;;
    *)
      echo "unknown step $name" >&2
      exit 2
      ;;
  esac
done

tar -czf "$out/results.tar.gz" -C "$out" results
if ((${#failed[@]})); then
  echo "FAILED: ${failed[*]}"
  exit 1
fi
echo "all steps passed"
