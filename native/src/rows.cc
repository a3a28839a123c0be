// The gradient of a table from which rows were taken. For each row it is the sum of the gradients
// of its copies, or zero if it was not taken.
//
// XLA clears the table early in a step, so the table is no longer in the caches when rows are added
// and when the optimizer reads it. Here each of XLA's threads clears a part of the table and adds
// to it in one pass.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace hornbeam {
namespace {

constexpr int64_t kWorthAThread = 1 << 15;  // numbers of the table

ffi::Error Wrong(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "hornbeam_rows: " + what);
}

// Arguments: index (K,), rows (K, W). Result: table (N, W). A negative index counts from the end;
// an index outside the table is ignored.
ffi::Error Rows(ffi::ThreadPool pool, ffi::AnyBuffer index, ffi::AnyBuffer rows, ffi::Result<ffi::AnyBuffer> table) {
  if (index.element_type() != ffi::DataType::S32) return Wrong("the index must be of int32");
  if (rows.element_type() != ffi::DataType::F32 || table->element_type() != ffi::DataType::F32)
    return Wrong("rows and table must be of float32");
  if (index.dimensions().size() != 1 || rows.dimensions().size() != 2 || table->dimensions().size() != 2)
    return Wrong("an array has a wrong rank");
  const int64_t K = index.dimensions()[0], W = rows.dimensions()[1], N = table->dimensions()[0];
  if (rows.dimensions()[0] != K) return Wrong("index and rows differ in length");
  if (table->dimensions()[1] != W) return Wrong("rows and table differ in width");
  const int32_t* places = index.typed_data<int32_t>();
  const float* from = rows.typed_data<float>();
  float* to = table->typed_data<float>();
  const int64_t worth = std::min(N, 1 + N * W / kWorthAThread);
  const int64_t pieces = std::clamp<int64_t>(worth, 1, std::max<int64_t>(1, pool.num_threads()));
  ParallelFor(pool, pieces, [&](int64_t piece) {
    const int64_t first = N * piece / pieces, last = N * (piece + 1) / pieces;
    std::memset(to + first * W, 0, sizeof(float) * (last - first) * W);
    for (int64_t k = 0; k < K; ++k) {
      const int64_t row = places[k] < 0 ? places[k] + N : places[k];
      if (row < first || row >= last) continue;
      const float* __restrict add = from + k * W;
      float* __restrict sum = to + row * W;
      for (int64_t i = 0; i < W; ++i) sum[i] += add[i];
    }
  });
  return ffi::Error::Success();
}

}  // namespace
}  // namespace hornbeam

XLA_FFI_DEFINE_HANDLER_SYMBOL(HornbeamRows, hornbeam::Rows,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>());
