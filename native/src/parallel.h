// Divides work among XLA's threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>

#include "xla/ffi/api/ffi.h"

namespace hornbeam {

constexpr int kSpins = 2000;  // about 40 microseconds

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Runs work(0) ... work(count - 1) on the caller's thread and on idle threads of XLA's pool.
//
// The caller works too, and waits only for pieces that another thread has begun. So there is no
// deadlock, even if many callers wait at once or the pool is busy. The first exception that a piece
// throws is rethrown here.
template <typename Work>
void ParallelFor(xla::ffi::ThreadPool& pool, int64_t count, const Work& work) {
  if (count <= 1) {
    if (count == 1) work(int64_t{0});
    return;
  }
  struct State {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable finished;
    std::exception_ptr error;
  };
  auto state = std::make_shared<State>();
  // A task that starts late finds no piece left and does not use `work`, which may no longer exist.
  auto take = [state, count, &work] {
    for (int64_t i = state->next++; i < count; i = state->next++) {
      try {
        work(i);
      } catch (...) {
        std::lock_guard<std::mutex> lock(state->mutex);
        if (!state->error) state->error = std::current_exception();
      }
      if (++state->done == count) {
        std::lock_guard<std::mutex> lock(state->mutex);
        state->finished.notify_all();
      }
    }
  };
  int64_t helpers = std::min(count, pool.num_threads()) - 1;
  for (int64_t i = 0; i < helpers; ++i) pool.Schedule(decltype(take)(take));
  take();
  // The other threads end at about the same time, so spinning takes less time than sleeping and
  // waking up.
  for (int spin = 0; spin < kSpins && state->done != count; ++spin) Pause();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->finished.wait(lock, [&] { return state->done == count; });
  if (state->error) std::rethrow_exception(state->error);
}

}  // namespace hornbeam
