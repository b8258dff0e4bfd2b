#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs the core under the address, undefined-behaviour and thread sanitizers, with forks, with
# allocations that fail, and a soak.
# Needs g++ with its sanitizers, but not Python or CUDA. Exits with 0 if all checks pass.
#   STEPS, SCOPES   how much to run
#   SEED            the seed of all random choices; a failing run prints it
set -euo pipefail
cd "$(dirname "$0")/../.."
steps=${STEPS:-20000} scopes=${SCOPES:-1000000} seed=${SEED:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All of csrc but csrc/python is a C++ library that needs no Python.
mapfile -t core < <(ls csrc/{host,cuda,core}/*.cpp | sed 's|\.cpp$||')

# build NAME FLAGS…: builds $work/NAME/{stress,simulated.so} and objects to link with these flags.
build() {
  local out=$work/$1
  flags="-std=c++17 -Wall -Wextra -Werror -fPIC -pthread ${*:2}"
  mkdir "$out" "$out/core" "$out/simulated"
  {
    printf '%s\n' "${core[@]}" | sed "s|.*|& $out/core/|"
    printf '%s\n' tests/stress/{stress,actors,forks} | sed "s|.*|& $out/|"
    ls tests/simulated_cuda/*.cpp | sed "s|\.cpp\$| $out/simulated/|"
  } | xargs -P "$(nproc)" -L 1 bash -c \
    "g++ $flags -Icsrc -Itests/simulated_cuda -c \$0.cpp -o \$1\$(basename \$0).o"
  objects=("${core[@]##*/}")
  objects=("${objects[@]/#/$out/core/}")
  objects=("${objects[@]/%/.o}")
  g++ $flags -shared "$out"/simulated/*.o -ldl -o "$out/simulated.so"
  g++ $flags "${objects[@]}" "$out"/{stress,actors,forks}.o -ldl -o "$out/stress"
}

# stress NAME MODE: runs one mode of a build, with a time limit in case of a deadlock.
stress() {
  timeout 300 "$work/$1/stress" "$2" "$work/$1/simulated.so" "$steps" "$seed"
}

export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tests/stress/leaks.supp:print_suppressions=0
export TSAN_OPTIONS=second_deadlock_stack=1

for sanitizer in address,undefined thread; do
  echo "=== -fsanitize=$sanitizer"
  build "$sanitizer" -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=$sanitizer
  for mode in calm faults lost; do
    stress "$sanitizer" "$mode"
  done
done

# Without sanitizers: ThreadSanitizer allows no new thread in the child of a multi-threaded process,
# and the address sanitizer of g++ 12 does not protect its allocator against such a fork.
echo "=== forks, and a soak"
build plain -O2
stress plain fork
g++ $flags -shared tests/stress/instant_cudart.cpp -o "$work/instant.so"
g++ $flags -Icsrc tests/stress/soak.cpp "${objects[@]}" -ldl -o "$work/soak"
"$work/soak" "$work/instant.so" "$scopes"
echo "=== memory that is short"
g++ $flags -Icsrc -Itests/simulated_cuda tests/stress/memory.cpp "${objects[@]}" -ldl -o "$work/memory"
"$work/memory" "$work/plain/simulated.so"
echo "=== stress passed"
