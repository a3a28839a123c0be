// Large pages for fresh memory.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <mutex>

namespace hornbeam {

// Asks for large pages if `data` lies in memory that nobody has touched yet.
//
// XLA takes fresh memory for all temporaries of a program with every call. Touching 200 MB of it in pages of 4 KB for
// the first time took a fifth of a training step of ResNet-20. The request is for the whole mapping around
// `data`, where the other temporaries lie too. It is a hint: where it fails, or is meant for memory that another
// thread gave back meanwhile, nothing is lost.
inline void UseLargePages(const void* data, size_t bytes) {
  constexpr uintptr_t kPage = 4096, kLarge = 2 << 20;
  if (bytes < kLarge) return;
  auto place = (reinterpret_cast<uintptr_t>(data) + kPage - 1) / kPage * kPage;
  unsigned char touched = 1;
  if (mincore(reinterpret_cast<void*>(place), kPage, &touched) != 0 || (touched & 1)) return;
  // The mapping found last: most often XLA gets the same place again.
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
