// What optimizers need: Adam's step over one large array, weights and both moments in one pass, in place; and order.
//
// XLA makes a loop for each of its three results, and reads what they share again: 40 bytes a weight instead of 28, through
// memory where no cache holds the array.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace hornbeam {
namespace {

constexpr int64_t kPiece = 1 << 16;  // weights

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
void Step(int64_t n, const float* __restrict g, float* __restrict w, float* __restrict m, float* __restrict v,
          float rate, float new_1, float new_2, float epsilon) {
  for (int64_t i = 0; i < n; ++i) {
    const float mean = m[i] + (g[i] - m[i]) * new_1, square = v[i] + (g[i] * g[i] - v[i]) * new_2;
    m[i] = mean;
    v[i] = square;
    w[i] -= rate * mean / (std::sqrt(square) + epsilon);
  }
}

ffi::Error Wrong(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "hornbeam_adam: " + what);
}

// Gradient, weights, moments, rate -> weights, moments. A result may lie where its operand does.
ffi::Error Adam(ffi::ThreadPool pool, ffi::AnyBuffer g, ffi::AnyBuffer w, ffi::AnyBuffer m, ffi::AnyBuffer v,
                ffi::AnyBuffer rate, ffi::Result<ffi::AnyBuffer> new_w, ffi::Result<ffi::AnyBuffer> new_m,
                ffi::Result<ffi::AnyBuffer> new_v, float new_1, float new_2, float epsilon) {
  for (const auto& array : {g, w, m, v, rate, ffi::AnyBuffer(*new_w), ffi::AnyBuffer(*new_m), ffi::AnyBuffer(*new_v)})
    if (array.element_type() != ffi::DataType::F32) return Wrong("arrays must be of float32");
  if (rate.element_count() != 1) return Wrong("the rate must be one number");
  const int64_t count = g.element_count();
  for (const auto& array : {w, m, v, ffi::AnyBuffer(*new_w), ffi::AnyBuffer(*new_m), ffi::AnyBuffer(*new_v)})
    if (int64_t(array.element_count()) != count) return Wrong("gradient, weights and moments differ in size");
  const float step = *rate.typed_data<float>();
  const float *from[] = {w.typed_data<float>(), m.typed_data<float>(), v.typed_data<float>()};
  float* to[] = {new_w->typed_data<float>(), new_m->typed_data<float>(), new_v->typed_data<float>()};
  const int64_t threads = std::max<int64_t>(1, pool.num_threads());
  const int64_t pieces = std::clamp<int64_t>(count / kPiece, 1, threads);
  ParallelFor(pool, pieces, [&](int64_t piece) {
    // On bounds of cache lines, so that no two threads write to the same.
    const int64_t lines = (count + 15) / 16, first = lines * piece / pieces * 16;
    const int64_t n = std::min(lines * (piece + 1) / pieces * 16, count) - first;
    for (int k = 0; k < 3; ++k)
      if (from[k] != to[k]) std::copy_n(from[k] + first, n, to[k] + first);
    Step(n, g.typed_data<float>() + first, to[0] + first, to[1] + first, to[2] + first, step, new_1, new_2, epsilon);
  });
  return ffi::Error::Success();
}

// First operand -> the same. XLA calls this when it has all the others, which nothing reads.
ffi::Error After(ffi::RemainingArgs arguments, ffi::Result<ffi::AnyBuffer> result) {
  auto first = arguments.get<ffi::AnyBuffer>(0);
  if (!first || first->element_type() != result->element_type() || first->element_count() != result->element_count())
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "hornbeam_after: operand and result differ");
  std::memmove(result->untyped_data(), first->untyped_data(), first->size_bytes());
  return ffi::Error::Success();
}

}  // namespace
}  // namespace hornbeam

XLA_FFI_DEFINE_HANDLER_SYMBOL(HornbeamAfter, hornbeam::After,
                              ffi::Ffi::Bind().RemainingArgs().Ret<ffi::AnyBuffer>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(HornbeamAdam, hornbeam::Adam,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Attr<float>("new_1")
                                  .Attr<float>("new_2")
                                  .Attr<float>("epsilon"));
