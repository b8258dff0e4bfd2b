// SPDX-License-Identifier: BSD-3-Clause
// The backward pass: visits to modules, from one marked node to the next.
#include <algorithm>

#include "python/autograd_access.h"
#include "python/module_hooks.h"

namespace fasttime {
namespace {

bool is_known(const ModuleHooks* hooks, int64_t task) noexcept {
  return std::find(hooks->tasks.begin(), hooks->tasks.end(), task) != hooks->tasks.end();
}

// The first node of a backward pass on this thread. The callback is queued at the first node of
// all: then it runs before the callbacks that others queue later, such as DDP's wait for gradients.
[[gnu::noinline]] void meet_task(ModuleHooks* hooks, int64_t task, bool is_inside_another) {
  constexpr size_t kMaxTasks = 16;
  if (is_known(hooks, task)) {
    return;
  }
  if (hooks->tasks.size() == kMaxTasks) {
    hooks->tasks.erase(hooks->tasks.begin());
  }
  hooks->tasks.push_back(task);
  queue_end(hooks, task, is_inside_another);
  if (!is_inside_another && hooks->steps.is_open) {
    hooks->steps.had_backward = true;
    begin_part(hooks, StepParts::kBackward);
  }
}

Instance* ancestor_at(Instance* instance, uint16_t depth) noexcept {
  while (instance->depth > depth) {
    instance = instance->parent;
  }
  return instance;
}

bool is_inside(Instance* instance, const Instance* around) noexcept {
  return instance->depth >= around->depth && ancestor_at(instance, around->depth) == around;
}

uint8_t depth_of(const ThreadState& thread, size_t below, const Lane* lane) noexcept {
  for (size_t i = below; i-- > 0;) {
    if (thread.visits[i].open.lane == lane) {
      return static_cast<uint8_t>(thread.visits[i].open.nesting.depth + 1);
    }
  }
  return 0;
}

// Ends the visits from number `keep` on, and begins visits in the calls around `instance` and in
// the instance itself, all at one boundary.
void move_to(ModuleHooks* hooks, ThreadState* thread, size_t keep, Instance* instance,
             int64_t task) {
  // Not initialized: that would take longer than all the rest.
  std::array<OpenScope*, ThreadState::kMaxDepth> ended;
  std::array<OpenScope*, ThreadState::kMaxDepth> begun;
  size_t ended_count = 0;
  size_t begun_count = 0;
  while (thread->visit_count > keep) {
    Visit& visit = thread->visits[--thread->visit_count];
    thread->ending[ended_count] = visit.open;
    ended[ended_count] = &thread->ending[ended_count];
    ++ended_count;
    drop_instance(hooks, visit.instance);
    visit.instance = nullptr;
  }
  if (instance != nullptr) {
    const size_t first = keep == 0 ? 0 : thread->visits[keep - 1].instance->depth + 1u;
    for (size_t depth = first; depth <= instance->depth; ++depth) {
      const size_t at = keep + begun_count;
      if (at == ThreadState::kMaxDepth) {
        ++hooks->refused;
        break;
      }
      Visit& visit = thread->visits[at];
      visit.instance = ancestor_at(instance, static_cast<uint16_t>(depth));
      ++visit.instance->references;
      visit.birth = hooks->births;
      visit.task = task;
      visit.open = OpenScope{};
      visit.open.site = hooks->modules[visit.instance->module].backward;
      begun[begun_count++] = &visit.open;
    }
  }
  hooks->recorder->meet(thread->meeting, false, ended.data(), ended_count, begun.data(),
                        begun_count);
  for (size_t i = 0; i < begun_count; ++i) {
    OpenScope& open = *begun[i];
    open.nesting = {hooks->steps.step, chain_of(hooks, thread, open.lane, true),
                    depth_of(*thread, keep + i, open.lane), Stretch::kBackward};
  }
  thread->visit_count = keep + begun_count;
  Py_CLEAR(thread->passed);
}

// Ends the visits of a backward pass on one thread. If a pass inside it failed, the visits of that
// pass are above.
void end_visits(ModuleHooks* hooks, ThreadState* thread, int64_t task) {
  size_t keep = thread->visit_count;
  for (size_t i = thread->visit_count; i-- > 0;) {
    keep = thread->visits[i].task == task ? i : keep;
  }
  if (keep < thread->visit_count) {
    thread->is_busy = true;
    move_to(hooks, thread, keep, nullptr, task);
    leave_thread(hooks, thread);
  }
}

}  // namespace

void end_task(ModuleHooks* hooks, int64_t task, bool is_inside_another) {
  if (hooks->is_closed) {
    return;
  }
  hooks->recorder->enter_call();
  // By index: a record may release the GIL, and a new thread then adds its state.
  for (size_t i = 0; i < hooks->threads.size(); ++i) {
    if (!hooks->threads[i]->is_busy) {
      end_visits(hooks, hooks->threads[i].get(), task);
    }
  }
  hooks->tasks.erase(std::remove(hooks->tasks.begin(), hooks->tasks.end(), task),
                     hooks->tasks.end());
  if (!is_inside_another && hooks->steps.is_open) {
    hooks->recorder->leave_call();
    begin_part(hooks, StepParts::kGradients);
    if (!queue_done(hooks)) {
      begin_part(hooks, part_around(hooks));
    }
  }
  hooks->recorder->leave_call();
}

void finish_backward(ModuleHooks* hooks) {
  begin_part(hooks, part_around(hooks));
  if (hooks->steps.ends_by_itself) {
    end_step(hooks);
  }
}

[[gnu::hot]] void backward_reached(ModuleHooks* hooks, Instance* instance) {
  if (hooks->is_closed) {
    return;  // the node was marked before
  }
  const int64_t task = backward_task();
  hooks->recorder->enter_call();
  ThreadState* thread = enter_thread(hooks);
  if (thread == nullptr) {
    return;
  }
  size_t keep = thread->visit_count;
  Visit* top = keep == 0 ? nullptr : &thread->visits[keep - 1];
  if (top != nullptr && top->task == task && top->instance == instance) {
    return;
  }
  thread->is_busy = true;
  if (top == nullptr || top->task != task) {
    const bool is_inside_another =
        top != nullptr && instance != nullptr && is_inside(instance, top->instance);
    if (top != nullptr && !is_inside_another && instance != nullptr &&
        instance->birth > top->birth && instance->thread == top->instance->thread) {
      abandon_visits(hooks, thread, 0);  // of a backward pass that an exception ended
      keep = 0;
    }
    meet_task(hooks, task, is_inside_another);
  }
  if (instance != nullptr) {
    while (keep != 0 && !is_inside(instance, thread->visits[keep - 1].instance)) {
      --keep;
    }
    move_to(hooks, thread, keep, instance, task);
  }
  leave_thread(hooks, thread);
  hooks->recorder->leave_call();
}

}  // namespace fasttime
