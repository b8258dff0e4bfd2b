// SPDX-License-Identifier: BSD-3-Clause
// A kernel of known length: one thread reads the device's clock until the time has passed.
// known_kernels.py compiles this file when needed.

#include <cuda_runtime.h>

namespace {

__global__ void spin(unsigned long long length_ns) {
  unsigned long long start, now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
  do {
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (now - start < length_ns);
}

}  // namespace

extern "C" int launch_spin(void* stream, unsigned long long length_ns) {
  spin<<<1, 1, 0, static_cast<cudaStream_t>(stream)>>>(length_ns);
  return cudaGetLastError();
}
