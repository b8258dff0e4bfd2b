// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace fasttime {

class Recorder;

// Every recorder is known here while it lives, so that a fork leaves the child with recorders that
// are empty, on locks nobody holds. Before the fork the mutexes are taken, so that what they guard
// is whole in the child; then all events and pending scopes are forgotten without a call to CUDA,
// and CUDA, if it had been bound, is retired: its state belongs to the parent.
void register_recorder(Recorder* recorder);
void unregister_recorder(Recorder* recorder) noexcept;

// The same forgetting on demand, for tests that change the runtime under a process.
void restart_recorders() noexcept;

}  // namespace fasttime
