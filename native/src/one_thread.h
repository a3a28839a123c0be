// Calls of oneDNN that use only the calling thread.
#pragma once

#include <omp.h>

namespace hornbeam {

// oneDNN reads the number of threads from OpenMP, both when a primitive is created and when it
// runs.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace hornbeam
