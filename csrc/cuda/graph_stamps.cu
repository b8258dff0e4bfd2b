// SPDX-License-Identifier: BSD-3-Clause
// The kernels that time scopes inside CUDA graphs. Each runs with one thread.
//
// graph_stamps_ptx.cpp embeds these kernels as PTX, so that neither a build nor an installation
// needs nvcc. After a change here, run: python tests/helpers/stamp_ptx.py

// How often each stamp of this device has run. They start at 0 when the module is loaded.
__device__ unsigned long long fasttime_counts[16384];

__device__ static unsigned long long global_timer() {
  unsigned long long ns;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns)::"memory");
  return ns;
}

// Writes the time of pass number n of stamp `slot` to ring[n & mask]. The ring lies in host memory.
// A stamp that served an earlier graph had run `base` times when that graph ended.
//
// Both words of an entry hold n, so the host recognises an entry that is half written:
//   time  the low 48 bits of the time, then the low 16 bits of n
//   tag   n + 1, then one bit: whether, when the stamp ran, exactly n + 1 passes had begun. Stamp
//         `first` counts the passes that have begun. The bit is 0 if another replay of the same
//         capture overlaps this one.
//
// A stamp that ends a scope takes the time first, and a stamp that only begins scopes takes it
// last. A scope then contains as little as possible of its stamps.
extern "C" __global__ void fasttime_stamp(ulonglong2* ring, unsigned long long base,
                                          unsigned long long first_base, unsigned slot,
                                          unsigned first, unsigned mask, unsigned ends_scope) {
  unsigned long long ns = global_timer();
  const unsigned long long begun =
      *(volatile unsigned long long*)(fasttime_counts + first) - first_base;
  const unsigned long long n = atomicAdd(fasttime_counts + slot, 1ull) - base;
  const bool is_alone = slot == first || begun == n + 1;
  if (!ends_scope) {
    // The predicate lets this read wait for the count: n never reaches 2^64 - 1.
    asm volatile(
        "{\n\t.reg .pred counted;\n\tsetp.ne.u64 counted, %1, -1;\n\t"
        "@counted mov.u64 %0, %%globaltimer;\n\t}"
        : "+l"(ns)
        : "l"(n)
        : "memory");
  }
  const unsigned long long time = ns << 16 | (n & 0xffff);
  const unsigned long long tag = (n + 1) << 1 | (is_alone ? 1 : 0);
  asm volatile("st.volatile.global.v2.u64 [%0], {%1, %2};" ::"l"(
                   __cvta_generic_to_global(ring + (n & mask))),
               "l"(time), "l"(tag)
               : "memory");
}

// Measures the step of the timer: writes the smallest and the greatest difference between two of
// its values to out[0] and out[1], then the number of differences to out[2]. Ends after 32
// differences, or after a million reads, which take some 20 ms.
extern "C" __global__ void fasttime_timer_step(volatile unsigned long long* out) {
  unsigned long long least = ~0ull;
  unsigned long long greatest = 0;
  unsigned long long found = 0;
  unsigned long long last = global_timer();
  for (int reads = 0; reads < 1000000 && found < 32; ++reads) {
    const unsigned long long now = global_timer();
    if (now != last) {
      least = min(least, now - last);
      greatest = max(greatest, now - last);
      ++found;
      last = now;
    }
  }
  out[0] = least;
  out[1] = greatest;
  __threadfence_system();
  out[2] = found + 1;
}
