// Large pages for new memory.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <mutex>

namespace hornbeam {

// Requests large pages if `data` is in memory that has not been touched yet.
//
// XLA allocates the temporaries of a program in every call. Touching 200 MB in pages of 4 KB for
// the first time took a fifth of a training step of ResNet-20. The request is for the whole mapping
// around `data`, which also holds the other temporaries. It is only a hint, so it does no harm if
// it fails or if another thread has freed the memory meanwhile.
inline void UseLargePages(const void* data, size_t bytes) {
  constexpr uintptr_t kPage = 4096, kLarge = 2 << 20;
  if (bytes < kLarge) return;
  auto place = (reinterpret_cast<uintptr_t>(data) + kPage - 1) / kPage * kPage;
  unsigned char touched = 1;
  if (mincore(reinterpret_cast<void*>(place), kPage, &touched) != 0 || (touched & 1)) return;
  // The mapping of the previous call, because XLA mostly gets the same address again.
  static std::mutex mutex;
  static unsigned long begin = 0, end = 0;
  std::lock_guard<std::mutex> lock(mutex);
  if (place < begin || place + bytes > end) {
    FILE* maps = std::fopen("/proc/self/maps", "re");
    if (!maps) return;
    char line[512];
    begin = end = 0;
    while (std::fgets(line, sizeof(line), maps)) {
      unsigned long from, to;
      if (std::sscanf(line, "%lx-%lx", &from, &to) == 2 && from <= place && place < to) {
        begin = from;
        end = to;
        break;
      }
    }
    std::fclose(maps);
  }
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace hornbeam
