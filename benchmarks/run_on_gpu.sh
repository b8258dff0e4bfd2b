#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Build and install this checkout, then run the given steps on a GPU.
#
#   benchmarks/run_on_gpu.sh [step ...]        without steps: all of them, except devices
#
#   step         what it runs                                                  minutes, about
#   tests        the GPU tests, one after the other                                  5
#   devices      the tests with two devices; needs two GPUs                          2
#   overhead     scope_overhead.py                                                   1.5
#   threads      core_threads.py                                                     1
#   layers       leaf_layers.py                                                      2
#   modules      module_layers.py                                                    4
#   graphs       graph_scopes.py                                                     0.5
#   streams      streams.py, other_threads.py                                        1
#   soak         soak.py                                                             0.5
#   accuracy     accuracy.py; needs nvcc, includes triton and cupy if installed      6
#   sweep        sweep.py; needs nvcc, includes triton if installed                  2
#   experiments  first_call.py, single_model.py, pipeline.py                         3
#   figures      the pictures in docs/figures                                        0.5
#   report       the report in the README                                            0.2
#   commands     fasttime env, run, bench and compare from the shell                 1.5
#   build        nothing else; the build runs before the first step                  1
#
# Calls of less than 10 minutes each: `tests report commands`, `overhead threads layers soak`,
# `modules graphs streams`, `accuracy`, `sweep experiments figures` and, with two GPUs, `devices`.
#
# A step that fails or takes too long does not stop later steps. The exit code is 1 if a step failed.
# JSON files and logs go to build/gpu-results, which later calls extend. After each step, all of it
# is packed into results.tar.gz in $OUT (default: benchmarks/results), beside summary.txt.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-benchmarks/results}
results=build/gpu-results
mkdir -p "$out" "$results"
export PYTHONUNBUFFERED=1
(($#)) || set -- tests report commands overhead threads layers modules graphs streams soak accuracy \
  sweep experiments figures
for name in "$@"; do
  case $name in
    tests | devices | overhead | threads | layers | modules | graphs | streams | soak) ;;
    accuracy | sweep | experiments) ;;
    figures | report | commands | build) ;;
    *)
      echo "unknown step $name" >&2
      exit 2
      ;;
  esac
done
failed=()
: >"$results/summary.txt"

run() { # run SECONDS NAME COMMAND...: NAME names the log, SECONDS is the limit
  local limit=$1 name=$2 begin=$SECONDS code=0
  shift 2
  echo "=== $name"
  timeout --kill-after=10 "$limit" "$@" 2>&1 | tee "$results/$name.log" || code=$?
  ((code == 0)) || failed+=("$name")
  echo "$name: exit code $code, $((SECONDS - begin)) s" | tee -a "$results/summary.txt"
  cp "$results/summary.txt" "$out/summary.txt"
  tar -czf "$out/results.tar.gz" -C build gpu-results
}

benchmark() { # benchmark SECONDS NAME OPTION...: runs NAME.py and saves NAME.json
  local limit=$1 name=$2
  shift 2
  run "$limit" "$name" python3 "benchmarks/$name.py" --json "$results/$name.json" "$@"
}

gpu_tests() { # gpu_tests SECONDS NAME PATH...
  local limit=$1 name=$2
  shift 2
  run "$limit" "$name" python3 -m pytest -q -m gpu -p no:cacheprovider --durations=10 \
    --continue-on-collection-errors "$@"
}

run 60 gpu nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.max.sm --format=csv
run 300 build python3 -m pip install --quiet --no-build-isolation --no-deps .
for name in "$@"; do
  case $name in
    tests)
      FASTTIME_REQUIRE_CUDA=1 gpu_tests 540 tests tests
      ;;
    devices)
      FASTTIME_REQUIRE_CUDA=1 FASTTIME_REQUIRE_CUDA_DEVICES=2 \
        gpu_tests 420 devices tests/gpu/test_devices_on_gpu.py
      ;;
    overhead) benchmark 300 scope_overhead ;;
    threads) benchmark 240 core_threads ;;
    layers) benchmark 300 leaf_layers ;;
    modules) benchmark 420 module_layers ;;
    graphs) benchmark 120 graph_scopes ;;
    streams)
      benchmark 120 streams
      benchmark 60 other_threads
      ;;
    soak) benchmark 180 soak ;;
    accuracy) benchmark 540 accuracy ;;
    sweep) benchmark 300 sweep ;;
    experiments)
      benchmark 120 first_call
      benchmark 180 single_model
      benchmark 300 pipeline --rounds 7
      ;;
    figures)
      run 180 figures python3 benchmarks/pipeline.py --figure "$results/figures"
      ;;
    report)
      run 120 report bash -o pipefail -c \
        "python3 benchmarks/report_example.py | tee '$results/report.txt'"
      ;;
    commands)
      run 60 env python3 -m fasttime env
      run 120 run python3 -m fasttime run --html "$results/run.html" --json "$results/run.json" \
        --trace "$results/run_trace.json.gz" benchmarks/report_example.py
      run 180 bench python3 -m fasttime bench torchvision:mobilenet_v3_large --batch 1 \
        --processes 3 -o "$results/bench.json"
      run 60 compare python3 -m fasttime compare "$results/bench.json" "$results/bench.json"
      ;;
  esac
done

if ((${#failed[@]})); then
  echo "FAILED: ${failed[*]}"
  exit 1
fi
echo "all steps passed"
