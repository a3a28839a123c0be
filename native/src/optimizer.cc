// Kernels for optimizers. The first is a step of Adam over one large array, which updates weights
// and both moments in one pass and in place. The second does the same for the gradient of a table
// as a sum of rows. The third orders operations.
//
// XLA compiles one loop for each of the three results, and each loop reads the shared operands
// again. That is 40 bytes per weight instead of 28, from memory if the array does not fit into the
// caches.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "instructions.h"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace hornbeam {
namespace {

constexpr int64_t kPiece = 1 << 16;  // weights

// If the processor has fused multiply-add, both the vectors and the remainder use it, because the
// result for a weight must not depend on its position.
inline __attribute__((always_inline)) void Loop(int64_t n, const float* __restrict g, float* __restrict w,
                                                float* __restrict m, float* __restrict v, float rate, float new_1,
                                                float new_2, float epsilon) {
  for (int64_t i = 0; i < n; ++i) {
    const float mean = m[i] + (g[i] - m[i]) * new_1, square = v[i] + (g[i] * g[i] - v[i]) * new_2;
    m[i] = mean;
    v[i] = square;
    w[i] -= rate * mean / (std::sqrt(square) + epsilon);
  }
}

using Step = void (*)(int64_t, const float*, float*, float*, float*, float, float, float, float);

#define HORNBEAM_STEP(name)                                                                                  \
  void name(int64_t n, const float* g, float* w, float* m, float* v, float rate, float new_1, float new_2, float epsilon) { \
    Loop(n, g, w, m, v, rate, new_1, new_2, epsilon);                                                        \
  }
#ifdef HORNBEAM_X86
__attribute__((target("avx512f,avx2,fma"))) HORNBEAM_STEP(StepAvx512)
__attribute__((target("avx2,fma"))) HORNBEAM_STEP(StepAvx2)
#endif
HORNBEAM_STEP(StepPortable)

Step GetStep() {
#ifdef HORNBEAM_X86
  if (GetInstructions() == Instructions::kAvx512) return StepAvx512;
  if (GetInstructions() == Instructions::kAvx2) return StepAvx2;
#endif
  return StepPortable;
}

ffi::Error Wrong(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "hornbeam_adam: " + what);
}

// An update: the operands and results of weights and both moments, and the factors.
struct Update {
  const float* from[3];
  float* to[3];
  float rate, new_1, new_2, epsilon;
  Step step = GetStep();

  // Copies [first, first + n) of each operand to its result, unless they share memory.
  void Bring(int64_t first, int64_t n) const {
    for (int k = 0; k < 3; ++k)
      if (from[k] != to[k]) std::copy_n(from[k] + first, n, to[k] + first);
  }

  // Updates [first, first + n) by the gradient `g`.
  void Take(int64_t first, int64_t n, const float* g) const {
    step(n, g, to[0] + first, to[1] + first, to[2] + first, rate, new_1, new_2, epsilon);
  }
};

// Fills `update`; returns the error, or "".
std::string Fill(Update& update, const ffi::AnyBuffer (&from)[3], const ffi::AnyBuffer (&to)[3], int64_t count,
                 const ffi::AnyBuffer& rate) {
  for (int k = 0; k < 3; ++k) {
    if (from[k].element_type() != ffi::DataType::F32 || to[k].element_type() != ffi::DataType::F32)
      return "arrays must be of float32";
    if (int64_t(from[k].element_count()) != count || int64_t(to[k].element_count()) != count)
      return "gradient, weights and moments differ in size";
    update.from[k] = from[k].typed_data<float>();
    update.to[k] = const_cast<ffi::AnyBuffer&>(to[k]).typed_data<float>();
  }
  if (rate.element_type() != ffi::DataType::F32) return "arrays must be of float32";
  if (rate.element_count() != 1) return "the rate must be one number";
  update.rate = *rate.typed_data<float>();
  return "";
}

// Arguments: gradient, weights, moments, rate. Results: weights, moments. A result may share the
// memory of its operand.
ffi::Error Adam(ffi::ThreadPool pool, ffi::AnyBuffer g, ffi::AnyBuffer w, ffi::AnyBuffer m, ffi::AnyBuffer v,
                ffi::AnyBuffer rate, ffi::Result<ffi::AnyBuffer> new_w, ffi::Result<ffi::AnyBuffer> new_m,
                ffi::Result<ffi::AnyBuffer> new_v, float new_1, float new_2, float epsilon) {
  const int64_t count = g.element_count();
  Update update = {{}, {}, 0, new_1, new_2, epsilon};
  const std::string wrong = Fill(update, {w, m, v}, {*new_w, *new_m, *new_v}, count, rate);
  if (!wrong.empty()) return Wrong(wrong);
  if (g.element_type() != ffi::DataType::F32) return Wrong("arrays must be of float32");
  const int64_t threads = std::max<int64_t>(1, pool.num_threads());
  const int64_t pieces = std::clamp<int64_t>(count / kPiece, 1, threads);
  ParallelFor(pool, pieces, [&](int64_t piece) {
    // Pieces begin at cache lines, so no two threads write to the same line.
    const int64_t lines = (count + 15) / 16, first = lines * piece / pieces * 16;
    const int64_t n = std::min(lines * (piece + 1) / pieces * 16, count) - first;
    update.Bring(first, n);
    update.Take(first, n, g.typed_data<float>() + first);
  });
  return ffi::Error::Success();
}

// Arguments: index (K,), rows (K, W), weights (N, W), moments, rate. Results: weights, moments. As
// in rows.cc, the gradient of each row of the table is the sum of the rows that `index` assigns to
// it. The gradient is never stored as a whole, because that would write and read as much memory as
// the weights take.
ffi::Error AdamRows(ffi::ThreadPool pool, ffi::AnyBuffer index, ffi::AnyBuffer rows, ffi::AnyBuffer w, ffi::AnyBuffer m,
                    ffi::AnyBuffer v, ffi::AnyBuffer rate, ffi::Result<ffi::AnyBuffer> new_w,
                    ffi::Result<ffi::AnyBuffer> new_m, ffi::Result<ffi::AnyBuffer> new_v, float new_1, float new_2,
                    float epsilon) {
  if (index.element_type() != ffi::DataType::S32) return Wrong("the index must be of int32");
  if (rows.element_type() != ffi::DataType::F32) return Wrong("arrays must be of float32");
  if (index.dimensions().size() != 1 || rows.dimensions().size() != 2 || w.dimensions().size() != 2)
    return Wrong("an array has a wrong rank");
  const int64_t K = index.dimensions()[0], N = w.dimensions()[0], W = w.dimensions()[1];
  if (rows.dimensions()[0] != K || rows.dimensions()[1] != W) return Wrong("index, rows and weights do not fit");
  Update update = {{}, {}, 0, new_1, new_2, epsilon};
  const std::string wrong = Fill(update, {w, m, v}, {*new_w, *new_m, *new_v}, N * W, rate);
  if (!wrong.empty()) return Wrong(wrong);
  const int32_t* places = index.typed_data<int32_t>();
  const float* from = rows.typed_data<float>();
  const int64_t threads = std::max<int64_t>(1, pool.num_threads());
  const int64_t pieces = std::clamp<int64_t>(std::min(N, N * W / kPiece), 1, threads);
  try {
    ParallelFor(pool, pieces, [&](int64_t piece) {
      const int64_t first = N * piece / pieces, last = N * (piece + 1) / pieces;
      update.Bring(first * W, (last - first) * W);
      // For each row of the table the first k that is assigned to it, and for each k the next one.
      // The order is that of rows.cc, so sums are rounded in the same way.
      std::vector<int64_t> head(last - first, -1), next(K);
      for (int64_t k = K - 1; k >= 0; --k) {
        const int64_t row = places[k] < 0 ? places[k] + N : places[k];
        if (row < first || row >= last) continue;
        next[k] = head[row - first];
        head[row - first] = k;
      }
      std::vector<float> sum(W);
      const std::vector<float> zeros(std::max<int64_t>(W, 1 << 12));
      const int64_t most = W ? int64_t(zeros.size()) / W : last;  // rows
      for (int64_t row = first; row < last;) {
        int64_t end = row;
        while (end < last && end - row < most && head[end - first] < 0) ++end;
        if (end > row) {
          update.Take(row * W, (end - row) * W, zeros.data());
          row = end;
          continue;
        }
        std::fill(sum.begin(), sum.end(), 0.f);
        for (int64_t k = head[row - first]; k >= 0; k = next[k])
          for (int64_t i = 0; i < W; ++i) sum[i] += from[k * W + i];
        update.Take(row * W, W, sum.data());
        ++row;
      }
    });
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "hornbeam_adam: no memory left");
  }
  return ffi::Error::Success();
}

// Returns the first operand. XLA calls this only after it has computed the other operands, which
// are not read.
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

XLA_FFI_DEFINE_HANDLER_SYMBOL(HornbeamAdamRows, hornbeam::AdamRows,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
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
