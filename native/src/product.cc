// The product x^T y of two matrices, summed over their rows, which is the gradient of a dense layer
// with respect to its kernel.
//
// XLA computes the products of the other two orientations as fast as the processor allows, but this
// one is slow on several threads. Here the result is divided among XLA's threads, and each piece is
// a call of oneDNN.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "one_thread.h"
#include "oneapi/dnnl/dnnl.h"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace hornbeam {
namespace {

constexpr int64_t kColumns = 32;            // the least columns of a piece: two vectors
constexpr int64_t kWorthAThread = 1 << 19;  // multiplications

ffi::Error Wrong(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "hornbeam_product: " + what);
}

// x (R, M), y (R, N) -> (M, N).
ffi::Error Product(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer y, ffi::Result<ffi::AnyBuffer> result) {
  auto given = {x, y, ffi::AnyBuffer(*result)};
  for (const auto& array : given) {
    if (array.element_type() != ffi::DataType::F32) return Wrong("arrays must be of float32");
    if (array.dimensions().size() != 2) return Wrong("arrays must be matrices");
  }
  const int64_t R = x.dimensions()[0], M = x.dimensions()[1], N = y.dimensions()[1];
  if (y.dimensions()[0] != R) return Wrong("both must have the same number of rows");
  if (result->dimensions()[0] != M || result->dimensions()[1] != N) return Wrong("the result has a wrong shape");
  if (M == 0 || N == 0) return ffi::Error::Success();
  const float *a = x.typed_data<float>(), *b = y.typed_data<float>();
  float* c = result->typed_data<float>();
  if (R == 0) {
    std::memset(c, 0, sizeof(float) * M * N);
    return ffi::Error::Success();
  }
  // The longer side is divided, so pieces are close to squares.
  const bool down = M >= N;
  const int64_t length = down ? M : N, units = (length + kColumns - 1) / kColumns;
  const int64_t worth = std::min<int64_t>(units, 1 + R * M * N / kWorthAThread);
  const int64_t pieces = std::clamp<int64_t>(worth, 1, std::max<int64_t>(1, pool.num_threads()));
  try {
    ParallelFor(pool, pieces, [&](int64_t piece) {
      OneThread one;
      const int64_t first = units * piece / pieces * kColumns;
      const int64_t size = std::min(units * (piece + 1) / pieces * kColumns, length) - first;
      const int64_t m = down ? size : M, n = down ? N : size, row = down ? first : 0, column = down ? 0 : first;
      auto status = dnnl_sgemm('T', 'N', m, n, R, 1.f, a + row, M, b + column, N, 0.f, c + row * N + column, N);
      if (status != dnnl_success) throw std::runtime_error("oneDNN answers " + std::to_string(status));
    });
  } catch (const std::exception& error) {
    return ffi::Error(ffi::ErrorCode::kInternal, std::string("hornbeam_product: ") + error.what());
  }
  return ffi::Error::Success();
}

}  // namespace
}  // namespace hornbeam

XLA_FFI_DEFINE_HANDLER_SYMBOL(HornbeamProduct, hornbeam::Product,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>());
