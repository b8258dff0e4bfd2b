// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "cuda/torch_streams.h"
#include "ledger.h"
#include "simulation.h"

// What all threads of a stress run share. Each thread's random choices are seeded, but the order in
// which the threads run is not.
struct Stage {
  Simulation simulation;
  std::vector<fasttime::Place> places;  // streams of all devices, including NULL streams
  Ledger kept;                          // never reset: its counts must add up
  Ledger reset;                         // reset at any moment; must stay usable
  bool faults = false;
  bool device_survives = true;

  std::atomic<uint64_t> steps{0};  // of all workers
  std::atomic<bool> is_over{false};

  // Scopes that one thread began and another ends.
  std::mutex mutex;  // guards handed_over
  std::vector<std::pair<Ledger*, fasttime::OpenScope>> handed_over;

  Stage(const std::string& library, int devices, int streams_each);
};

class Chance {
 public:
  explicit Chance(uint64_t seed) : engine_(seed) {}
  // A number from 0 to `count` - 1.
  size_t below(size_t count) { return static_cast<size_t>(engine_() % count); }
  bool once_in(size_t count) { return below(count) == 0; }
  template <typename Value>
  const Value& one_of(const std::vector<Value>& values) {
    return values[below(values.size())];
  }

 private:
  std::mt19937_64 engine_;
};

// Begins, ends, abandons, hands over and takes over scopes, on all streams of all devices. Captures
// streams of its own. Ends all its open scopes at last.
void work(Stage& stage, uint64_t seed, uint64_t steps);
// Polls, takes, copies, counts, drains, resets. Two of them may run.
void observe(Stage& stage, uint64_t seed);
// Moves the clock, holds streams and lets them go.
void move_clock(Stage& stage, uint64_t seed);
// Creates recorders, and destroys them with scopes pending.
void come_and_go(Stage& stage, uint64_t seed);
// Holds streams, both its own and streams on which other threads record. Releases them, or waits
// until the watchdog does. Two of them may run.
void hold_streams(Stage& stage, uint64_t seed);
// Makes CUDA calls fail.
void order_faults(Stage& stage, uint64_t seed);
