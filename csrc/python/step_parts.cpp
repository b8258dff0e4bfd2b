// SPDX-License-Identifier: BSD-3-Clause
// The parts of a step. They lie end to end, as phases do, so that they add up to the step.
#include "python/module_hooks.h"
#include "python/torch_flag.h"

namespace fasttime {
namespace {

// A part that began in a capture, on a failure, or before CUDA started must not affect the next.
void retry(ModuleHooks* hooks) {
  StepParts& steps = hooks->steps;
  if (steps.open.lane == nullptr && runtime().has_cuda) {
    hooks->recorder->retry_phase(steps.open, nullptr);
  }
}

void change(ModuleHooks* hooks, uint8_t part, const Nesting& ending) {
  StepParts& steps = hooks->steps;
  steps.is_busy = true;
  steps.open.nesting = ending;
  hooks->recorder->change_phase(steps.open, steps.sites[part]);
  retry(hooks);
  steps.open.nesting = {};  // until the part ends: an abandoned part does not count
  steps.part = part;
  steps.is_busy = false;
  if (hooks->is_closed) {
    drop_step(hooks);  // another thread closed the handle while a record waited
  }
}

}  // namespace

void begin_part(ModuleHooks* hooks, uint8_t part) {
  StepParts& steps = hooks->steps;
  if (!steps.is_on || steps.is_busy || (steps.is_open && steps.part == part)) {
    return;
  }
  if (steps.is_open && steps.open.process != hooks->recorder->process()) {
    steps.is_open = false;  // the step began before a fork
  }
  if (steps.is_open) {
    ++steps.parts;
    change(hooks, part, {steps.step, 0, steps.part, Stretch::kPart});
    return;
  }
  if (!runtime().has_cuda) {
    bind_if_cuda_is_up();
  }
  steps.is_busy = true;
  hooks->recorder->begin(steps.open, steps.sites[part], nullptr);
  hooks->recorder->leave_call();
  steps.is_busy = false;
  steps.is_open = true;
  steps.thread = this_thread();
  steps.part = part;
  steps.parts = 0;
  if (hooks->is_closed) {
    drop_step(hooks);
  }
}

void drop_step(ModuleHooks* hooks) {
  StepParts& steps = hooks->steps;
  if (steps.is_open && !steps.is_busy) {
    hooks->recorder->abandon(steps.open);
    steps.is_open = steps.is_in_optimizer = false;
    ++steps.step;
  }
}

uint8_t part_around(const ModuleHooks* hooks) {
  for (const auto& thread : hooks->threads) {
    if (thread->thread == hooks->steps.thread && thread->frame_count != 0) {
      return StepParts::kForward;
    }
  }
  return hooks->steps.is_in_optimizer ? StepParts::kOptimizer : StepParts::kOther;
}

void end_step(ModuleHooks* hooks) {
  StepParts& steps = hooks->steps;
  if (!steps.is_on || steps.is_busy || !steps.is_open ||
      steps.open.process != hooks->recorder->process()) {
    return;
  }
  const auto parts = static_cast<uint16_t>(steps.parts + 1);
  change(hooks, StepParts::kOther, {steps.step, parts, steps.part, Stretch::kLastPart});
  steps.parts = 0;
  steps.last_ended = steps.step++;
  ++steps.ended;
  steps.has_news = true;
}

bool call_step_ended(ModuleHooks* hooks) {
  StepParts& steps = hooks->steps;
  if (!steps.has_news || hooks->step_ended == nullptr) {
    return true;
  }
  steps.has_news = false;
  PyObject* call = hooks->step_ended;
  Py_INCREF(call);  // it may close the handle
  PyObject* number = PyLong_FromUnsignedLong(steps.last_ended);
  PyObject* done = number == nullptr ? nullptr : PyObject_CallOneArg(call, number);
  Py_XDECREF(number);
  Py_XDECREF(done);
  Py_DECREF(call);
  return done != nullptr;
}

PyObject* finish_hook(ModuleHooks* hooks) {
  if (!call_step_ended(hooks) && !report_exception(hooks->step_ended)) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

bool report_exception(PyObject* source) {
  if (PyErr_ExceptionMatches(PyExc_Exception) == 0) {
    return false;
  }
  PyErr_WriteUnraisable(source);
  return true;
}

}  // namespace fasttime
