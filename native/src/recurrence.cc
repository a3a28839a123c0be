// The standard recurrences along time, forward and backward, each as one kernel.
//
// The arrays are described in hornbeam/ops/recurrence.py; here time is the first axis. The samples
// are divided into one piece per thread of XLA. A piece runs all steps without waiting for the
// others. The gradients of the weights are not computed here, because they are products over all
// steps (see product.cc).

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "instructions.h"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace hornbeam {
namespace {

enum class Cell { kSimple, kLstm, kGru, kGruBefore };

// The operands and results of both kernels; each uses a part of them.
struct Problem {
  Cell cell;
  int64_t gates, states, T, B, U;
  bool beside;  // whether `other` is used
  bool keep = false;
  const bool* mask = nullptr;                    // (T, B)
  const float *kernel, *start;                   // (U, gates * U), (states, B, U)
  const float *x = nullptr, *bias = nullptr;     // (T, B, gates * U), (gates * U,)
  float *hs = nullptr, *last = nullptr;          // (T, B, U), (states, B, U)
  // `before` and `other` are like hs; `saved` holds the gates, like x.
  float *before = nullptr, *saved = nullptr, *other = nullptr;
  const float *dhs = nullptr, *dlast = nullptr;  // like hs, or none; like last
  // `da` is like x and may share the memory of `saved`; `dstart` is like start.
  float *da = nullptr, *dstart = nullptr;
};

// The loops for one instruction set.
struct Loops {
  int64_t (*padded)(int64_t);
  void (*pack_forward)(const Problem&, float*);
  void (*forward)(const Problem&, int64_t, int64_t, const float*, float*);
  void (*pack_backward)(const Problem&, float*);
  void (*backward)(const Problem&, int64_t, int64_t, const float*, float*);
};

}  // namespace
}  // namespace hornbeam

#define HORNBEAM_ALWAYS __attribute__((always_inline))
#define HORNBEAM_INLINE static inline HORNBEAM_ALWAYS

// Of the standard library, the loops use only memcpy. A template that they instantiate would be
// compiled for their instruction set, and the linker might choose that copy for all other code too.
#ifdef HORNBEAM_X86
#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
#define HORNBEAM_SET avx512
#define HORNBEAM_WIDTH 16
#define HORNBEAM_ROWS 8
#include "recurrence_steps.h"
#undef HORNBEAM_SET
#undef HORNBEAM_WIDTH
#undef HORNBEAM_ROWS
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define HORNBEAM_SET avx2
#define HORNBEAM_WIDTH 8
#define HORNBEAM_ROWS 6
#include "recurrence_steps.h"
#undef HORNBEAM_SET
#undef HORNBEAM_WIDTH
#undef HORNBEAM_ROWS
#pragma GCC pop_options
#endif

#define HORNBEAM_SET portable
#define HORNBEAM_WIDTH 4
#define HORNBEAM_ROWS 6
#include "recurrence_steps.h"

namespace hornbeam {
namespace {

const Loops& GetLoops() {
#define HORNBEAM_LOOPS(set) {set::Padded, set::PackForward, set::Forward, set::PackBackward, set::Backward}
  static const Loops loops = [] {
#ifdef HORNBEAM_X86
    if (GetInstructions() == Instructions::kAvx512) return Loops HORNBEAM_LOOPS(avx512);
    if (GetInstructions() == Instructions::kAvx2) return Loops HORNBEAM_LOOPS(avx2);
#endif
    return Loops HORNBEAM_LOOPS(portable);
  }();
  return loops;
}

// Returns zeros, aligned to cache lines.
std::unique_ptr<float, decltype(&std::free)> Zeros(int64_t count) {
  const size_t bytes = (std::max<int64_t>(count, 1) * sizeof(float) + 63) / 64 * 64;
  std::unique_ptr<float, decltype(&std::free)> memory(static_cast<float*>(std::aligned_alloc(64, bytes)), &std::free);
  if (!memory) throw std::bad_alloc();
  std::memset(memory.get(), 0, bytes);
  return memory;
}

constexpr int64_t kWorthAThread = 1 << 18;  // multiplications

void Run(const Problem& p, ffi::ThreadPool& pool, bool backward) {
  const Loops& loops = GetLoops();
  const int64_t stride = loops.padded(p.U);
  auto packed = Zeros(p.gates * stride * stride);
  (backward ? loops.pack_backward : loops.pack_forward)(p, packed.get());
  int64_t pieces = std::max<int64_t>(1, std::min(pool.num_threads(), p.B));
  pieces = std::min(pieces, 1 + p.T * p.B * p.gates * p.U * p.U / kWorthAThread);
  const int64_t rows = (p.B + pieces - 1) / pieces;
  ParallelFor(pool, pieces, [&](int64_t piece) {
    const int64_t first = piece * rows, last = std::min(first + rows, p.B);
    if (first >= last) return;
    auto scratch = Zeros((last - first) * (4 + p.gates) * stride);
    (backward ? loops.backward : loops.forward)(p, first, last, packed.get(), scratch.get());
  });
}

ffi::Error Wrong(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "hornbeam_recurrence: " + what);
}

// Reads operands and results in order and keeps the first error.
class Reader {
 public:
  Reader(ffi::RemainingArgs arguments, ffi::RemainingRets results) : arguments_(arguments), results_(results) {}

  const float* Read(const char* name, std::initializer_list<int64_t> dimensions) {
    auto buffer = arguments_.get<ffi::AnyBuffer>(read_++);
    return buffer && Fits(*buffer, dimensions, ffi::DataType::F32) ? buffer->typed_data<float>() : Refuse(name);
  }

  const bool* ReadMask(std::initializer_list<int64_t> dimensions) {
    auto buffer = arguments_.get<ffi::AnyBuffer>(read_++);
    if (buffer && Fits(*buffer, dimensions, ffi::DataType::PRED)) return buffer->typed_data<bool>();
    Refuse("the mask");
    return nullptr;
  }

  float* Write(const char* name, std::initializer_list<int64_t> dimensions) {
    auto buffer = results_.get<ffi::AnyBuffer>(written_++);
    return buffer && Fits(**buffer, dimensions, ffi::DataType::F32) ? (*buffer)->typed_data<float>() : Refuse(name);
  }

  const std::string& Finish() {
    if (error_.empty() && read_ != arguments_.size()) error_ = "a wrong number of operands";
    if (error_.empty() && written_ != results_.size()) error_ = "a wrong number of results";
    return error_;
  }

 private:
  static bool Fits(const ffi::AnyBuffer& buffer, std::initializer_list<int64_t> dimensions, ffi::DataType dtype) {
    auto given = buffer.dimensions();
    return buffer.element_type() == dtype && given.size() == dimensions.size() &&
           std::equal(given.begin(), given.end(), dimensions.begin());
  }

  float* Refuse(const char* name) {
    if (error_.empty()) error_ = std::string(name) + " is missing or has a wrong shape or dtype";
    return nullptr;
  }

  ffi::RemainingArgs arguments_;
  ffi::RemainingRets results_;
  size_t read_ = 0, written_ = 0;
  std::string error_;
};

// Sets the cell from its name, and the sizes from an operand (T, B, ...) and the kernel. Returns
// the error, or "".
std::string Describe(Problem& p, std::string_view cell, ffi::RemainingArgs arguments, size_t sequence, size_t kernel) {
  auto first = arguments.get<ffi::AnyBuffer>(sequence), weights = arguments.get<ffi::AnyBuffer>(kernel);
  if (!first || !weights) return "operands are missing";
  if (first->dimensions().size() != 3 || weights->dimensions().size() != 2) return "an operand has a wrong rank";
  if (cell == "simple") p.cell = Cell::kSimple, p.gates = 1, p.states = 1, p.beside = false;
  else if (cell == "lstm") p.cell = Cell::kLstm, p.gates = 4, p.states = 2, p.beside = true;
  else if (cell == "gru") p.cell = Cell::kGru, p.gates = 3, p.states = 1, p.beside = true;
  else if (cell == "gru_before") p.cell = Cell::kGruBefore, p.gates = 3, p.states = 1, p.beside = false;
  else return "no cell is called " + std::string(cell);
  p.T = first->dimensions()[0], p.B = first->dimensions()[1], p.U = weights->dimensions()[0];
  return "";
}

ffi::Error Finish(const Problem& p, ffi::ThreadPool& pool, bool backward) {
  try {
    Run(p, pool, backward);
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "hornbeam_recurrence: no memory left");
  }
  return ffi::Error::Success();
}

// Arguments: x, kernel, bias, start[, mask]. Results: hs, last[, before[, saved[, other]]].
ffi::Error Recurrence(ffi::ThreadPool pool, ffi::RemainingArgs arguments, ffi::RemainingRets results,
                      std::string_view cell, bool masked) {
  Problem p;
  if (auto wrong = Describe(p, cell, arguments, 0, 1); !wrong.empty()) return Wrong(wrong);
  Reader reader(arguments, results);
  p.x = reader.Read("x", {p.T, p.B, p.gates * p.U});
  p.kernel = reader.Read("the kernel", {p.U, p.gates * p.U});
  p.bias = reader.Read("the bias", {p.gates * p.U});
  p.start = reader.Read("the start", {p.states, p.B, p.U});
  if (masked) p.mask = reader.ReadMask({p.T, p.B});
  p.hs = reader.Write("h", {p.T, p.B, p.U});
  p.last = reader.Write("the last states", {p.states, p.B, p.U});
  p.keep = results.size() > 2;
  if (p.keep) p.before = reader.Write("h before each step", {p.T, p.B, p.U});
  if (p.keep && p.cell != Cell::kSimple) p.saved = reader.Write("the gates", {p.T, p.B, p.gates * p.U});
  if (p.keep && p.beside) p.other = reader.Write("what is kept", {p.T, p.B, p.U});
  if (auto& wrong = reader.Finish(); !wrong.empty()) return Wrong(wrong);
  return Finish(p, pool, false);
}

// Arguments: dhs, dlast, kernel, start, hs, before[, saved[, other]][, mask]. Results: da, dstart.
// A dhs with no steps means zero.
ffi::Error RecurrencePull(ffi::ThreadPool pool, ffi::RemainingArgs arguments, ffi::RemainingRets results,
                          std::string_view cell, bool masked) {
  Problem p;
  if (auto wrong = Describe(p, cell, arguments, 4, 2); !wrong.empty()) return Wrong(wrong);
  Reader reader(arguments, results);
  auto given = arguments.get<ffi::AnyBuffer>(0);
  const bool none = given && given->dimensions().size() == 3 && given->dimensions()[0] == 0;
  p.dhs = reader.Read("the gradient of h", {none ? 0 : p.T, p.B, p.U});
  if (none) p.dhs = nullptr;
  p.dlast = reader.Read("the gradient of the last states", {p.states, p.B, p.U});
  p.kernel = reader.Read("the kernel", {p.U, p.gates * p.U});
  p.start = reader.Read("the start", {p.states, p.B, p.U});
  // Results and saved arrays of the forward kernel are only read here.
  p.hs = const_cast<float*>(reader.Read("h", {p.T, p.B, p.U}));
  p.before = const_cast<float*>(reader.Read("h before each step", {p.T, p.B, p.U}));
  if (p.cell != Cell::kSimple) p.saved = const_cast<float*>(reader.Read("the gates", {p.T, p.B, p.gates * p.U}));
  if (p.beside) p.other = const_cast<float*>(reader.Read("what was kept", {p.T, p.B, p.U}));
  if (masked) p.mask = reader.ReadMask({p.T, p.B});
  p.da = reader.Write("the gradient of x", {p.T, p.B, p.gates * p.U});
  p.dstart = reader.Write("the gradient of the start", {p.states, p.B, p.U});
  if (auto& wrong = reader.Finish(); !wrong.empty()) return Wrong(wrong);
  return Finish(p, pool, true);
}

}  // namespace
}  // namespace hornbeam

XLA_FFI_DEFINE_HANDLER_SYMBOL(HornbeamRecurrence, hornbeam::Recurrence,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .RemainingArgs()
                                  .RemainingRets()
                                  .Attr<std::string_view>("cell")
                                  .Attr<bool>("masked"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(HornbeamRecurrencePull, hornbeam::RecurrencePull,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .RemainingArgs()
                                  .RemainingRets()
                                  .Attr<std::string_view>("cell")
                                  .Attr<bool>("masked"));
