// The loops over time of the recurrences, for one instruction set. recurrence.cc includes this file
// once for each set.
//
// The including file defines HORNBEAM_SET, a namespace; HORNBEAM_WIDTH, the floats in a vector; and
// HORNBEAM_ROWS, the number of rows that a matrix product computes at once, so that its sums stay
// in registers.
//
// In the scratch memory, U is padded to `stride`, a whole number of vectors. The padding is zero or
// unused.

namespace hornbeam {
namespace HORNBEAM_SET {

constexpr int64_t kWidth = HORNBEAM_WIDTH;
constexpr int64_t kPanel = 2 * kWidth;  // number of columns of a product that are computed at once

typedef float V __attribute__((vector_size(sizeof(float) * HORNBEAM_WIDTH)));
typedef int32_t I __attribute__((vector_size(sizeof(float) * HORNBEAM_WIDTH)));

HORNBEAM_INLINE V Load(const float* p) {
  V v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

HORNBEAM_INLINE V Load(const float* p, int64_t n) {
  if (n >= kWidth) return Load(p);
  V v = {};
  std::memcpy(&v, p, sizeof(float) * n);
  return v;
}

// Prefetches data that the next step will read (0) or write (1).
template <int write>
HORNBEAM_INLINE void Fetch(const float* p) {
  __builtin_prefetch(p, write, 2);
}

HORNBEAM_INLINE void Store(float* p, V v) { std::memcpy(p, &v, sizeof(v)); }

// There are two branches, because memcpy with a size unknown to the compiler is a call, which took
// a fifth of the loop.
HORNBEAM_INLINE void Store(float* p, V v, int64_t n) {
  if (n >= kWidth) Store(p, v);
  else std::memcpy(p, &v, sizeof(float) * n);
}

HORNBEAM_INLINE V All(float x) { return V{} + x; }

// e^x - 1 = 2^n (e^r - 1) + (2^n - 1), where r = x - n log 2 is small, so its series is short. The
// result is accurate near zero too.
HORNBEAM_INLINE V ExpM1(V x) {
  const float round = 12582912.f;  // 1.5 * 2^23: adding it rounds to an integer
  x = x > 88.f ? All(88.f) : x;
  x = x < -87.f ? All(-87.f) : x;
  V n = (x * 1.44269504f + round) - round;
  V r = x - n * 0.693359375f + n * 2.12194440e-4f;  // log 2 in two parts
  V p = r * (1.f / 5040) + (1.f / 720);
  p = p * r + (1.f / 120);
  p = p * r + (1.f / 24);
  p = p * r + (1.f / 6);
  p = p * r + 0.5f;
  p = p * r * r + r;
  I bits = (__builtin_convertvector(n, I) + 127) << 23;
  V power;
  std::memcpy(&power, &bits, sizeof(power));
  return power * p + (power - 1.f);
}

HORNBEAM_INLINE V Sigmoid(V x) { return 1.f / (ExpM1(-x) + 2.f); }

HORNBEAM_INLINE V Tanh(V x) {
  x = x > 10.f ? All(10.f) : x;
  V e = ExpM1(x + x);
  return e / (e + 2.f);
}

// Packs a matrix in the order in which products read it, which is panels of kPanel columns, each
// row by row. `depth` is the number of rows of the whole matrix, if this is a part. Elements that
// are not written must already be zero.
void Pack(const float* from, int64_t row_step, int64_t column_step, int64_t rows, int64_t columns, float* to,
          int64_t depth) {
  for (int64_t j = 0; j < columns; j += kPanel) {
    const int64_t n = columns - j < kPanel ? columns - j : kPanel;
    for (int64_t i = 0; i < rows; ++i) {
      const float* row = from + i * row_step + j * column_step;
      float* place = to + j * depth + i * kPanel;
      if (column_step == 1) std::memcpy(place, row, sizeof(float) * n);
      else for (int64_t k = 0; k < n; ++k) place[k] = row[k * column_step];
    }
  }
}

template <int rows>
HORNBEAM_INLINE void Tile(const float* a, int64_t a_step, const float* panel, int64_t depth, float* c, int64_t c_step) {
  V sums[rows][2];
  for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = V{};
  for (int64_t k = 0; k < depth; ++k) {
    V left = Load(panel + k * kPanel), right = Load(panel + k * kPanel + kWidth);
    for (int r = 0; r < rows; ++r) {
      float x = a[r * a_step + k];
      sums[r][0] += x * left;
      sums[r][1] += x * right;
    }
  }
  for (int r = 0; r < rows; ++r) {
    Store(c + r * c_step, sums[r][0]);
    Store(c + r * c_step + kWidth, sums[r][1]);
  }
}

template <int rows>
HORNBEAM_INLINE void Rest(int64_t left, const float* a, int64_t a_step, const float* panel, int64_t depth, float* c,
                          int64_t c_step) {
  if constexpr (rows > 0) {
    if (left == rows) Tile<rows>(a, a_step, panel, depth, c, c_step);
    else Rest<rows - 1>(left, a, a_step, panel, depth, c, c_step);
  }
}

// Computes c (rows, columns) as the product of a (rows, depth) and a packed matrix (depth,
// columns).
void Multiply(const float* a, int64_t a_step, const float* packed, int64_t rows, int64_t depth, int64_t columns, float* c,
              int64_t c_step) {
  for (int64_t j = 0; j < columns; j += kPanel) {
    const float* panel = packed + j * depth;
    int64_t i = 0;
    for (; i + HORNBEAM_ROWS <= rows; i += HORNBEAM_ROWS)
      Tile<HORNBEAM_ROWS>(a + i * a_step, a_step, panel, depth, c + i * c_step + j, c_step);
    Rest<HORNBEAM_ROWS - 1>(rows - i, a + i * a_step, a_step, panel, depth, c + i * c_step + j, c_step);
  }
}

int64_t Padded(int64_t n) { return (n + kPanel - 1) / kPanel * kPanel; }

// Packs the recurrent weights, gate by gate, for Forward.
void PackForward(const Problem& p, float* packed) {
  const int64_t U = p.U, stride = Padded(U);
  for (int64_t g = 0; g < p.gates; ++g)
    Pack(p.kernel + g * U, p.gates * U, 1, U, U, packed + g * stride * stride, stride);
}

// Runs all steps for the samples [first, last).
void Forward(const Problem& p, int64_t first, int64_t last, const float* packed, float* scratch) {
  const int64_t U = p.U, B = p.B, G = p.gates, rows = last - first, stride = Padded(U), wide = G * stride;
  const bool before = p.cell == Cell::kGruBefore;
  float *h = scratch, *c = h + rows * stride, *reset = c + rows * stride, *product = reset + rows * stride;
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(h + i * stride, p.start + (first + i) * U, sizeof(float) * U);
    if (p.states == 2) std::memcpy(c + i * stride, p.start + (B + first + i) * U, sizeof(float) * U);
  }
  for (int64_t t = 0; t < p.T; ++t) {
    // The columns of the product that do not depend on r.
    const int64_t ahead = before ? 2 * stride : wide;
    Multiply(h, stride, packed, rows, stride, ahead, product, wide);
    if (before) {
      for (int64_t i = 0; i < rows; ++i) {
        const float* x = p.x + (t * B + first + i) * G * U + U;
        for (int64_t u = 0; u < U; u += kWidth) {
          float* place = product + i * wide + stride + u;
          V r = Sigmoid(Load(x + u, U - u) + Load(p.bias + U + u, U - u) + Load(place));
          Store(place, r);
          Store(reset + i * stride + u, r * Load(h + i * stride + u));
        }
      }
      Multiply(reset, stride, packed + ahead * stride, rows, stride, stride, product + ahead, wide);
    }
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t at = t * B + first + i;
      const bool move = !p.mask || p.mask[at];
      float *row = product + i * wide, *state = c + i * stride;
      auto input = [&](int64_t g, int64_t u) HORNBEAM_ALWAYS {
        Fetch<0>(p.x + ((at + B) * G + g) * U + u);
        return Load(p.x + (at * G + g) * U + u, U - u);
      };
      auto inner = [&](int64_t g, int64_t u) HORNBEAM_ALWAYS {
        return Load(row + g * stride + u) + Load(p.bias + g * U + u, U - u);
      };
      auto keep = [&](int64_t g, int64_t u, V v) HORNBEAM_ALWAYS {
        if (!p.keep) return;
        Fetch<1>(p.saved + ((at + B) * G + g) * U + u);
        Store(p.saved + (at * G + g) * U + u, v, U - u);
      };
      auto keep_single = [&](float* where, int64_t u, V v) HORNBEAM_ALWAYS {
        if (!p.keep) return;
        Fetch<1>(where + (at + B) * U + u);
        Store(where + at * U + u, v, U - u);
      };
      // This loop is separate from the one that depends on c, because each has enough independent
      // work alone.
      for (int64_t u = 0; p.cell == Cell::kLstm && u < U; u += kWidth) {
        V in = Sigmoid(input(0, u) + inner(0, u)), f = Sigmoid(input(1, u) + inner(1, u));
        V g = Tanh(input(2, u) + inner(2, u)), o = Sigmoid(input(3, u) + inner(3, u));
        V past = Load(state + u), now = move ? f * past + in * g : past;
        Store(state + u, now);
        Store(row + u, o);
        keep(0, u, in), keep(1, u, f), keep(2, u, g), keep(3, u, o), keep_single(p.other, u, now);
      }
      for (int64_t u = 0; u < U; u += kWidth) {
        const int64_t n = U - u;
        V old = Load(h + i * stride + u), next;
        keep_single(p.before, u, old);
        if (p.cell == Cell::kSimple) {
          next = Tanh(input(0, u) + inner(0, u));
        } else if (p.cell == Cell::kLstm) {
          next = Load(row + u) * Tanh(Load(state + u));
        } else {
          V z = Sigmoid(input(0, u) + inner(0, u)), r, g;
          if (before) {
            r = Load(row + stride + u);
            g = Tanh(input(2, u) + inner(2, u));
          } else {
            V candidate = inner(2, u);
            r = Sigmoid(input(1, u) + inner(1, u));
            g = Tanh(input(2, u) + r * candidate);
            keep_single(p.other, u, candidate);
          }
          next = z * old + (1.f - z) * g;
          keep(0, u, z), keep(1, u, r), keep(2, u, g);
        }
        if (!move) next = old;
        Store(h + i * stride + u, next);
        Store(p.hs + at * U + u, next, n);
        Fetch<1>(p.hs + (at + B) * U + u);
      }
    }
  }
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(p.last + (first + i) * U, h + i * stride, sizeof(float) * U);
    if (p.states == 2) std::memcpy(p.last + (B + first + i) * U, c + i * stride, sizeof(float) * U);
  }
}

// Packs the transposed recurrent weights for Backward; for kGruBefore the weights of g come last,
// separately.
void PackBackward(const Problem& p, float* packed) {
  const int64_t U = p.U, stride = Padded(U), together = p.cell == Cell::kGruBefore ? 2 : p.gates;
  for (int64_t g = 0; g < p.gates; ++g) {
    const bool apart = g >= together;
    float* to = apart ? packed + together * stride * stride : packed + g * stride * kPanel;
    Pack(p.kernel + g * U, 1, p.gates * U, U, U, to, apart ? stride : together * stride);
  }
}

// Carries the gradients of all results back through all steps, for the samples [first, last).
void Backward(const Problem& p, int64_t first, int64_t last, const float* packed, float* scratch) {
  const int64_t U = p.U, B = p.B, G = p.gates, rows = last - first, stride = Padded(U), wide = G * stride;
  const bool before = p.cell == Cell::kGruBefore, lstm = p.cell == Cell::kLstm;
  // The gradient of the state before a step is the sum of two parts: through the weights, and past
  // them.
  float *through = scratch, *past = through + rows * stride, *cell = past + rows * stride;
  float *inner = cell + rows * stride, *gates = inner + rows * stride;
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(past + i * stride, p.dlast + (first + i) * U, sizeof(float) * U);
    if (lstm) std::memcpy(cell + i * stride, p.dlast + (B + first + i) * U, sizeof(float) * U);
  }
  for (int64_t t = p.T - 1; t >= 0; --t) {
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t at = t * B + first + i;
      const bool move = !p.mask || p.mask[at];
      const float* old_c = !lstm ? nullptr : t ? p.other + (at - B) * U : p.start + (B + first + i) * U;
      for (int64_t u = 0; u < U; u += kWidth) {
        const int64_t n = U - u;
        float *beside = past + i * stride + u, *row = gates + i * wide + u;
        V given = p.dhs ? Load(p.dhs + at * U + u, n) : V{};
        V d = given + Load(through + i * stride + u) + Load(beside);
        auto saved = [&](int64_t g) HORNBEAM_ALWAYS {
          Fetch<0>(p.saved + ((at - B) * G + g) * U + u);
          return Load(p.saved + (at * G + g) * U + u, n);
        };
        auto other = [&]() HORNBEAM_ALWAYS { return Load(p.other + at * U + u, n); };
        auto give = [&](int64_t g, V out, V on) HORNBEAM_ALWAYS {
          Store(p.da + (at * G + g) * U + u, move ? out : V{}, n);
          Store(row + g * stride, move ? on : V{});
        };
        V direct = V{};
        if (p.cell == Cell::kSimple) {
          V h = Load(p.hs + at * U + u, n), a = d * (1.f - h * h);
          give(0, a, a);
        } else if (lstm) {
          V in = saved(0), f = saved(1), g = saved(2), o = saved(3), h = Tanh(other());
          V carried = Load(cell + i * stride + u), dc = carried + d * o * (1.f - h * h);
          V di = dc * g * in * (1.f - in), df = dc * Load(old_c + u, n) * f * (1.f - f);
          V dg = dc * in * (1.f - g * g), dout = d * h * o * (1.f - o);
          give(0, di, di), give(1, df, df), give(2, dg, dg), give(3, dout, dout);
          Store(cell + i * stride + u, move ? dc * f : carried);
        } else {
          V z = saved(0), r = saved(1), g = saved(2);
          V dz = d * (Load(p.before + at * U + u, n) - g) * z * (1.f - z), dg = d * (1.f - z) * (1.f - g * g);
          give(0, dz, dz);
          if (before) {
            give(2, dg, dg);
          } else {
            V dr = dg * other() * r * (1.f - r);
            give(1, dr, dr), give(2, dg, dg * r);
          }
          direct = d * z;
        }
        Store(beside, move ? direct : d);
      }
    }
    if (before) {
      Multiply(gates + 2 * stride, wide, packed + 2 * stride * stride, rows, stride, stride, inner, stride);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t at = t * B + first + i;
        for (int64_t u = 0; u < U; u += kWidth) {
          const int64_t n = U - u;
          // `d` is zero at masked steps.
          V r = Load(p.saved + (at * G + 1) * U + u, n), d = Load(inner + i * stride + u);
          V dr = d * Load(p.before + at * U + u, n) * r * (1.f - r);
          Store(p.da + (at * G + 1) * U + u, dr, n);
          Store(gates + i * wide + stride + u, dr);
          Store(past + i * stride + u, Load(past + i * stride + u) + d * r);
        }
      }
    }
    Multiply(gates, wide, packed, rows, before ? 2 * stride : wide, stride, through, stride);
  }
  for (int64_t i = 0; i < rows; ++i) {
    float* to = p.dstart + (first + i) * U;
    for (int64_t u = 0; u < U; ++u) to[u] = through[i * stride + u] + past[i * stride + u];
    if (lstm) std::memcpy(p.dstart + (B + first + i) * U, cell + i * stride, sizeof(float) * U);
  }
}

}  // namespace HORNBEAM_SET
}  // namespace hornbeam
