// SPDX-License-Identifier: BSD-3-Clause
// The yardstick for copies: cudaMemcpyAsync in a plain loop between two events.

#include <cuda_runtime.h>
#include <torch/extension.h>

// Returns the seconds per copy of `bytes` bytes on the device, over `runs` copies.
double copy_seconds(int64_t target, int64_t source, int64_t bytes, int runs) {
  cudaEvent_t begin, end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  auto copy = [&] {
    cudaMemcpyAsync(reinterpret_cast<void*>(target), reinterpret_cast<const void*>(source),
                    static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, nullptr);
  };
  for (int run = 0; run < 5; ++run) copy();
  cudaEventRecord(begin, nullptr);
  for (int run = 0; run < runs; ++run) copy();
  cudaEventRecord(end, nullptr);
  cudaEventSynchronize(end);
  float milliseconds = 0;
  cudaEventElapsedTime(&milliseconds, begin, end);
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return 1e-3 * milliseconds / runs;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("copy_seconds", &copy_seconds); }
