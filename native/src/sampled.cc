// Images at positions between their pixels, for rotations and other moves.
//
// XLA computes each of the four pixels around a position on its own, in loops over single numbers.
// Here the four are found once for all channels of a position.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace hornbeam {
namespace {

constexpr int64_t kWorthAThread = 1 << 12;  // positions
constexpr float kFar = 1 << 29;

ffi::Error Wrong(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "hornbeam_sampled: " + what);
}

enum class Fill { kConstant, kNearest, kWrap, kMirror, kReflect };

// The remainder with the sign of the divisor.
inline int64_t Modulo(int64_t a, int64_t by) {
  const int64_t rest = a % by;
  return rest < 0 ? rest + by : rest;
}

// Returns the index within [0, size) for any index; -1 if there is no pixel.
template <Fill fill>
inline int64_t Inside(int64_t i, int64_t size) {
  if (i >= 0 && i < size) return i;
  switch (fill) {
    case Fill::kNearest:
      return std::clamp<int64_t>(i, 0, size - 1);
    case Fill::kWrap:
      return Modulo(i, size);
    case Fill::kMirror:
      return size == 1 ? 0 : std::abs(Modulo(i + size - 1, 2 * size - 2) - (size - 1));
    case Fill::kReflect:
      return (std::abs(Modulo(2 * i + 1 + 2 * size, 4 * size) - 2 * size) - 1) >> 1;
    default:
      return -1;
  }
}

// The whole number at or below x. Infinite and missing numbers give any.
inline int64_t Floor(float x) {
  const float bounded = x > kFar ? kFar : x > -kFar ? x : -kFar;
  const int32_t whole = int32_t(bounded);
  return whole - (bounded < float(whole));
}

// The nearest whole number; halves are rounded away from zero.
inline int64_t Round(float x) {
  const float bounded = x > kFar ? kFar : x > -kFar ? x : -kFar;
  const int32_t whole = int32_t(bounded);
  const float rest = bounded - float(whole);
  return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

struct Sizes {
  int64_t B, H, W, C, h, w;
};

// Computes rows [first, last) of all B * h rows of the result. `channels` is C, or 0 for any.
template <Fill fill, bool linear, int channels>
void Sample(const Sizes& sizes, const float* images, const float* places, float missing, int64_t first, int64_t last,
            float* to) {
  const auto [B, H, W, C_any, h, w] = sizes;
  const int64_t C = channels ? channels : C_any;
  for (int64_t row = first; row < last; ++row) {
    const float* image = images + row / h * H * W * C;
    const float* ys = places + (row / h * 2 * h + row % h) * w;
    const float* xs = ys + h * w;
    float* out = to + row * w * C;
    for (int64_t k = 0; k < w; ++k, out += C) {
      const auto pixel = [&](int64_t y, int64_t x) { return image + (y * W + x) * C; };
      if (!linear) {
        const int64_t y = Inside<fill>(Round(ys[k]), H), x = Inside<fill>(Round(xs[k]), W);
        const bool known = y >= 0 && x >= 0;
        for (int64_t c = 0; c < C; ++c) out[c] = known ? pixel(y, x)[c] : missing;
        continue;
      }
      const int64_t top = Floor(ys[k]), left = Floor(xs[k]);
      const float below = ys[k] - float(top), right = xs[k] - float(left);
      const float above = 1 - below, beside = 1 - right;
      const int64_t y0 = Inside<fill>(top, H), y1 = Inside<fill>(top + 1, H);
      const int64_t x0 = Inside<fill>(left, W), x1 = Inside<fill>(left + 1, W);
      const float a = above * beside, b = above * right, c = below * beside, d = below * right;
      if (fill != Fill::kConstant || (y0 >= 0 && y1 >= 0 && x0 >= 0 && x1 >= 0)) {
        const float *p = pixel(y0, x0), *q = pixel(y0, x1), *r = pixel(y1, x0), *s = pixel(y1, x1);
        for (int64_t i = 0; i < C; ++i) out[i] = a * p[i] + b * q[i] + c * r[i] + d * s[i];
        continue;
      }
      for (int64_t i = 0; i < C; ++i) {
        const auto at = [&](int64_t y, int64_t x) { return y >= 0 && x >= 0 ? pixel(y, x)[i] : missing; };
        out[i] = a * at(y0, x0) + b * at(y0, x1) + c * at(y1, x0) + d * at(y1, x1);
      }
    }
  }
}

template <Fill fill, bool linear, typename... Arguments>
void ForChannels(const Sizes& sizes, Arguments... rest) {
  if (sizes.C == 3) return Sample<fill, linear, 3>(sizes, rest...);
  if (sizes.C == 1) return Sample<fill, linear, 1>(sizes, rest...);
  Sample<fill, linear, 0>(sizes, rest...);
}

template <Fill fill, typename... Arguments>
void ForInterpolation(bool linear, Arguments... rest) {
  linear ? ForChannels<fill, true>(rest...) : ForChannels<fill, false>(rest...);
}

template <typename... Arguments>
void ForFill(Fill fill, Arguments... rest) {
  switch (fill) {
    case Fill::kConstant:
      return ForInterpolation<Fill::kConstant>(rest...);
    case Fill::kNearest:
      return ForInterpolation<Fill::kNearest>(rest...);
    case Fill::kWrap:
      return ForInterpolation<Fill::kWrap>(rest...);
    case Fill::kMirror:
      return ForInterpolation<Fill::kMirror>(rest...);
    case Fill::kReflect:
      return ForInterpolation<Fill::kReflect>(rest...);
  }
}

// images (B, H, W, C), places (B, 2, h, w): fractional rows and columns -> (B, h, w, C).
ffi::Error Sampled(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer places,
                   ffi::Result<ffi::AnyBuffer> result, std::string_view fill_name, bool linear, float missing) {
  for (const auto& array : {images, places, ffi::AnyBuffer(*result)}) {
    if (array.element_type() != ffi::DataType::F32) return Wrong("arrays must be of float32");
    if (array.dimensions().size() != 4) return Wrong("arrays must have 4 axes");
  }
  const auto from = images.dimensions(), at = places.dimensions(), to = result->dimensions();
  const Sizes sizes = {from[0], from[1], from[2], from[3], at[2], at[3]};
  if (at[0] != sizes.B || at[1] != 2) return Wrong("places have a wrong shape");
  if (to[0] != sizes.B || to[1] != sizes.h || to[2] != sizes.w || to[3] != sizes.C)
    return Wrong("the result has a wrong shape");
  const int64_t rows = sizes.B * sizes.h;
  if (rows * sizes.w * sizes.C == 0) return ffi::Error::Success();
  if (sizes.H == 0 || sizes.W == 0) return Wrong("images have no pixels");
  Fill fill;
  if (fill_name == "constant") {
    fill = Fill::kConstant;
  } else if (fill_name == "nearest") {
    fill = Fill::kNearest;
  } else if (fill_name == "wrap") {
    fill = Fill::kWrap;
  } else if (fill_name == "mirror") {
    fill = Fill::kMirror;
  } else if (fill_name == "reflect") {
    fill = Fill::kReflect;
  } else {
    return Wrong("unknown fill mode");
  }
  const int64_t worth = std::min(rows, 1 + rows * sizes.w / kWorthAThread);
  const int64_t pieces = std::clamp<int64_t>(worth, 1, std::max<int64_t>(1, 4 * pool.num_threads()));
  ParallelFor(pool, pieces, [&](int64_t piece) {
    ForFill(fill, linear, sizes, images.typed_data<float>(), places.typed_data<float>(), missing,
            rows * piece / pieces, rows * (piece + 1) / pieces, result->typed_data<float>());
  });
  return ffi::Error::Success();
}

}  // namespace
}  // namespace hornbeam

XLA_FFI_DEFINE_HANDLER_SYMBOL(HornbeamSampled, hornbeam::Sampled,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Attr<std::string_view>("fill")
                                  .Attr<bool>("linear")
                                  .Attr<float>("missing"));
