// SPDX-License-Identifier: BSD-3-Clause
// Stream captures, and the graphs that they make.
#include <utility>

#include "world.h"

using namespace simulated;

namespace {

int status_of(const Stream& stream) {
  if (!stream.capture) return kStatusNone;
  return stream.capture->is_alive ? kStatusActive : kStatusInvalidated;
}

Graph* find_graph(World& world, void* handle) {
  return world.graphs.count(handle) ? static_cast<Graph*>(handle) : nullptr;
}

Executable* find_executable(World& world, void* handle) {
  return world.graphs.count(handle) ? static_cast<Executable*>(handle) : nullptr;
}

}  // namespace

// For NULL while a blocking stream captures it returns 906. Unlike a record it destroys nothing.
SIMULATED_EXPORT int cudaStreamIsCapturing(void* handle, int* status) {
  return call("cudaStreamIsCapturing", [&](Call& c) {
    Stream* stream = c.world.find_stream(c.thread, handle);
    if (!stream) return kInvalidHandle;
    if (c.world.implicit_capture(*stream)) return kCaptureImplicit;
    *status = status_of(*stream);
    return kSuccess;
  });
}

// The driver's version. It never sets the runtime's last error, and it needs a context for NULL.
SIMULATED_EXPORT int cuStreamIsCapturing(void* handle, int* status) {
  World& world = World::instance();
  Lock lock(world.mutex);
  Thread& thread = world.this_thread();
  if (const int error = world.begin_call("cuStreamIsCapturing")) return error;
  if (!handle && world.driver_needs_context && !thread.has_context()) return kInvalidContext;
  Stream* stream = world.find_stream(thread, handle);
  if (!stream) return kInvalidHandle;
  if (world.implicit_capture(*stream)) return kCaptureImplicit;
  *status = status_of(*stream);
  return kSuccess;
}

SIMULATED_EXPORT int cudaThreadExchangeStreamCaptureMode(int* mode) {
  return call("cudaThreadExchangeStreamCaptureMode", [&](Call& c) {
    if (*mode < kModeGlobal || *mode > kModeRelaxed) return kInvalidValue;
    std::swap(*mode, c.thread.capture_mode);
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaStreamBeginCapture(void* handle, int mode) {
  return call("cudaStreamBeginCapture", [&](Call& c) {
    Stream* stream = c.world.find_stream(c.thread, handle);
    if (!stream) return kInvalidHandle;
    if (stream->is_legacy) return kCaptureUnsupported;
    if (mode < kModeGlobal || mode > kModeRelaxed) return kInvalidValue;
    if (stream->capture) return kIllegalState;
    auto capture = std::make_shared<Capture>();
    capture->id = c.world.next_capture_id++;
    capture->mode = mode;
    capture->owner = std::this_thread::get_id();
    capture->origin = stream;
    capture->members = {stream};
    capture->graph = new Graph;
    stream->dependencies.clear();
    c.world.graphs.insert(capture->graph);
    stream->capture = capture;
    c.world.captures.push_back(std::move(capture));
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaStreamEndCapture(void* handle, void** graph) {
  return call("cudaStreamEndCapture", [&](Call& c) {
    Stream* stream = c.world.find_stream(c.thread, handle);
    if (!stream) return kInvalidHandle;
    const CapturePtr capture = stream->capture;
    if (!capture) return kIllegalState;
    if (capture->origin != stream) return kCaptureUnmatched;
    c.world.leave_capture(capture);
    if (graph) *graph = nullptr;
    if (capture->mode != kModeRelaxed && capture->owner != std::this_thread::get_id())
      return kCaptureWrongThread;
    if (graph && capture->is_alive) *graph = capture->graph;
    return capture->is_alive ? kSuccess : kCaptureInvalidated;
  });
}

// The signature of CUDA 13; CUDA 12 has no edge data here.
SIMULATED_EXPORT int cudaStreamGetCaptureInfo(void* handle, int* status, unsigned long long* id,
                                              void** graph, const void** dependencies,
                                              const void** edges, size_t* count) {
  return call("cudaStreamGetCaptureInfo", [&](Call& c) {
    Stream* stream = c.world.find_stream(c.thread, handle);
    if (!stream) return kInvalidHandle;
    if (c.world.implicit_capture(*stream)) return kCaptureImplicit;
    *status = status_of(*stream);
    if (*status != kStatusActive) return kSuccess;
    if (id) *id = stream->capture->id;
    if (graph) *graph = stream->capture->graph;
    if (dependencies) *dependencies = nullptr;
    if (edges) *edges = nullptr;
    if (count) *count = 0;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaGraphInstantiateWithFlags(void** executable, void* handle,
                                                   unsigned long long) {
  return call("cudaGraphInstantiateWithFlags", [&](Call& c) {
    Graph* graph = find_graph(c.world, handle);
    if (!graph) return kInvalidValue;
    auto* made = new Executable;
    for (const auto& node : graph->nodes) {
      made->nodes.push_back(*node);
      made->sources.push_back(node.get());
    }
    made->objects = graph->objects;
    for (UserObject* object : made->objects) ++object->references;
    c.world.graphs.insert(made);
    *executable = made;
    return kSuccess;
  });
}

// Graphs are never freed: an old handle must not become a dangling pointer.
SIMULATED_EXPORT int cudaGraphDestroy(void* handle) {
  return call("cudaGraphDestroy", [&](Call& c) {
    if (Graph* graph = find_graph(c.world, handle)) c.world.release(graph->objects);
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaGraphExecDestroy(void* handle) {
  return call("cudaGraphExecDestroy", [&](Call& c) {
    if (Executable* executable = find_executable(c.world, handle)) c.world.let_go(*executable);
    return kSuccess;
  });
}

// The driver's second version, without edge data. It never sets the runtime's last error.
SIMULATED_EXPORT int cuStreamGetCaptureInfo_v2(void* handle, int* status, uint64_t* id,
                                               void** graph, void* const** dependencies,
                                               size_t* count) {
  World& world = World::instance();
  Lock lock(world.mutex);
  if (const int error = world.begin_call("cuStreamGetCaptureInfo_v2")) return error;
  Stream* stream = world.find_stream(world.this_thread(), handle);
  if (!stream) return kInvalidHandle;
  if (world.implicit_capture(*stream)) return kCaptureImplicit;
  *status = status_of(*stream);
  if (*status != kStatusActive) return kSuccess;
  if (id) *id = stream->capture->id;
  if (graph) *graph = stream->capture->graph;
  if (dependencies) {
    *dependencies = reinterpret_cast<void* const*>(stream->dependencies.data());
  }
  if (count) *count = stream->dependencies.size();
  return kSuccess;
}

// ---- user objects -------------------------------------------------------------------------------

SIMULATED_EXPORT int cuUserObjectCreate(void** object, void* pointer, void (*destroy)(void*),
                                        unsigned references, unsigned flags) {
  World& world = World::instance();
  Lock lock(world.mutex);
  if (const int error = world.begin_call("cuUserObjectCreate")) return error;
  if (references == 0 || flags != 1) return kInvalidValue;
  *object = new UserObject{pointer, destroy, references};
  return kSuccess;
}

SIMULATED_EXPORT int cuUserObjectRelease(void* object, unsigned) {
  World& world = World::instance();
  Lock lock(world.mutex);
  if (const int error = world.begin_call("cuUserObjectRelease")) return error;
  std::vector<UserObject*> objects{static_cast<UserObject*>(object)};
  world.release(objects);
  return kSuccess;
}

// With flag 1 the graph takes over the caller's reference.
SIMULATED_EXPORT int cuGraphRetainUserObject(void* handle, void* object, unsigned references,
                                             unsigned flags) {
  World& world = World::instance();
  Lock lock(world.mutex);
  if (const int error = world.begin_call("cuGraphRetainUserObject")) return error;
  Graph* graph = find_graph(world, handle);
  if (!graph || references != 1 || flags > 1) return kInvalidValue;
  auto* retained = static_cast<UserObject*>(object);
  retained->references += flags == 1 ? 0 : 1;
  graph->objects.push_back(retained);
  return kSuccess;
}

SIMULATED_EXPORT int cudaGraphGetNodes(void* handle, void** nodes, size_t* count) {
  return call("cudaGraphGetNodes", [&](Call& c) {
    Graph* graph = find_graph(c.world, handle);
    if (!graph) return kInvalidValue;
    if (nodes) {
      for (size_t i = 0; i < *count && i < graph->nodes.size(); ++i)
        nodes[i] = graph->nodes[i].get();
    }
    *count = graph->nodes.size();
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaGraphNodeGetType(void* node, int* type) {
  return call("cudaGraphNodeGetType", [&](Call&) {
    *type = static_cast<Node*>(node)->stamps ? kNodeEventRecord : kNodeKernel;
    return kSuccess;
  });
}

SIMULATED_EXPORT int cudaGraphEventRecordNodeGetEvent(void* node, void** event) {
  return call("cudaGraphEventRecordNodeGetEvent", [&](Call&) {
    *event = static_cast<Node*>(node)->stamps;
    return kSuccess;
  });
}

// Affects later launches only.
SIMULATED_EXPORT int cudaGraphExecEventRecordNodeSetEvent(void* handle, void* node,
                                                          void* event_handle) {
  return call("cudaGraphExecEventRecordNodeSetEvent", [&](Call& c) {
    Executable* executable = find_executable(c.world, handle);
    Event* event = c.world.find_event(event_handle);
    if (!executable || !event) return kInvalidValue;
    for (size_t i = 0; i < executable->nodes.size(); ++i) {
      if (executable->sources[i] != node || !executable->nodes[i].stamps) continue;
      executable->nodes[i].stamps = event;
      return kSuccess;
    }
    return kInvalidValue;
  });
}

SIMULATED_EXPORT int cudaGraphLaunch(void* handle, void* stream_handle) {
  return call("cudaGraphLaunch", [&](Call& c) -> int {
    Executable* executable = find_executable(c.world, handle);
    Stream* stream = c.world.find_stream(c.thread, stream_handle);
    if (!executable || !stream) return kInvalidHandle;
    if (const int error = c.world.refuse_implicit(*stream)) return error;
    if (stream->capture) {
      // A child graph: its nodes follow each other here, and it shares the objects.
      for (const Node& node : executable->nodes) c.world.add_node(*stream, node);
      for (UserObject* object : executable->objects) {
        ++object->references;
        stream->capture->graph->objects.push_back(object);
      }
      return kSuccess;
    }
    if (const int error = c.world.admit(c.lock, *stream)) return error;
    // Launches of one executable graph follow each other, on whatever streams.
    if (executable->last_launch) c.world.issue(*stream, 0, executable->last_launch);
    for (const Node& node : executable->nodes) {
      if (node.stamps) {
        c.world.stamp(*node.stamps, *stream);
      } else {
        const TicketPtr done = c.world.issue(*stream, node.work_ns);
        if (node.kernel) c.world.run(done, node.kernel);
      }
    }
    executable->last_launch = stream->last;
    stream->entries.push_back(stream->last);
    return kSuccess;
  });
}
