// Divides work on texts and images among threads.
#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace hornbeam {

constexpr int64_t kMostThreads = 16, kBytesPerThread = 1 << 18;

// Returns how many threads are worth while for so many bytes.
inline int64_t ThreadsFor(int64_t bytes) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const int64_t cores = sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
  return std::clamp<int64_t>(bytes / kBytesPerThread, 1, std::min(cores, kMostThreads));
}

// Calls work(first, last, thread) for ranges that make up [0, count), on so many threads. The first
// exception is rethrown here.
//
// The threads end with the call: none is left that a fork of the process would lose.
template <typename Work>
void ForRanges(int64_t count, int64_t threads, const Work& work) {
  const int64_t ranges = threads == 1 ? 1 : std::min(count, threads * 16);
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto take = [&](int64_t thread) {
    for (int64_t i = next++; i < ranges; i = next++) {
      try {
        work(count * i / ranges, count * (i + 1) / ranges, thread);
      } catch (...) {
        std::lock_guard<std::mutex> lock(mutex);
        if (!error) error = std::current_exception();
        return;
      }
    }
  };
  std::vector<std::thread> others;
  others.reserve(threads);
  for (int64_t i = 1; i < threads; ++i) {
    try {
      others.emplace_back(take, i);
    } catch (const std::system_error&) {
      break;  // no more threads; the others do all the work
    }
  }
  take(0);
  for (std::thread& other : others) other.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace hornbeam
