// Calls of oneDNN that keep to their thread.
#pragma once

#include <omp.h>

namespace hornbeam {

// oneDNN takes its number of threads from OpenMP, when a primitive is made and when it runs.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace hornbeam
