// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace fasttime {

class Recorder;

// The list of living recorders, for forks. In the child of a fork every recorder is empty and no
// lock is held. The parent takes the mutexes before the fork, so the data that they guard is
// consistent in the child. The child then forgets all events and pending scopes without a call to
// CUDA. If CUDA was bound, the child retires it, because its state belongs to the parent.
//
// Both functions are thread-safe and may wait for a fork of another thread.
void register_recorder(Recorder* recorder);
void unregister_recorder(Recorder* recorder) noexcept;

// Empties all recorders as in the child of a fork, for tests that replace the runtime.
void restart_recorders() noexcept;

}  // namespace fasttime
