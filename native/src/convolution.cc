// Convolution, its gradient by the inputs and its gradient by the kernel, by oneDNN.
//
// Activations are (N, *space, C) and stay so; kernels are (*window, C / groups, O) and are brought into the form
// that oneDNN likes best, a reorder that costs little beside the convolution.
//
// Threads: the batch is cut into one piece for each of XLA's threads, and each piece is a oneDNN primitive of one
// thread. So there is no second pool of threads that fights with XLA's.

#include <omp.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace hornbeam {
namespace {

using dnnl::memory;
using Dims = memory::dims;

enum class Kind { kForward, kInputs, kKernel };

// All that a plan depends on.
struct Problem {
  Kind kind;
  memory::data_type dtype;
  bool bias, relu;
  Dims x, w, y;  // in oneDNN's order: (N, C, *space), (groups, O / groups, C / groups, *window), (N, O, *space)
  Dims strides, dilation, before, after;
  int64_t threads;

  std::string Key() const {
    std::string key;
    auto add = [&key](const Dims& dims) {
      for (auto d : dims) key += std::to_string(d) + ',';
      key += ';';
    };
    add({int64_t(kind), int64_t(dtype), bias, relu, threads});
    for (const Dims* dims : {&x, &w, &y, &strides, &dilation, &before, &after}) add(*dims);
    return key;
  }
};

const dnnl::engine& Engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// Memory of the calling thread that grows and is used again: fresh pages cost more than small convolutions.
// `slot` tells apart what is in use at the same time.
void* Workspace(int slot, size_t bytes) {
  struct Buffer {
    void* data = nullptr;
    size_t size = 0;
    ~Buffer() { std::free(data); }
  };
  static thread_local Buffer buffers[3];
  Buffer& buffer = buffers[slot];
  if (buffer.size < bytes) {
    std::free(buffer.data);
    buffer.size = (bytes + 4095) / 4096 * 4096;
    buffer.data = std::aligned_alloc(4096, buffer.size);
    if (!buffer.data) {
      buffer.size = 0;
      throw std::bad_alloc();
    }
  }
  return buffer.data;
}

// oneDNN takes its number of threads from OpenMP, when a primitive is made and when it runs.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }

 private:
  int before_;
};

class Plan {
 public:
  explicit Plan(const Problem& problem);
  void Run(ffi::ThreadPool& pool, const void* lhs, const void* rhs, const void* bias, void* out) const;

 private:
  struct Piece {
    dnnl::primitive primitive;
    memory::desc lhs, out, scratch;
    size_t lhs_offset, rhs_offset, out_offset;  // in bytes
  };

  void AddPiece(int64_t start, int64_t size);

  Problem p_;
  memory::desc plain_kernel_, kernel_, bias_;
  bool reorders_kernel_ = false;
  dnnl::primitive kernel_reorder_;
  std::vector<Piece> pieces_;
};

memory::desc ActivationDesc(const Dims& dims, memory::data_type dtype) {
  using Tag = memory::format_tag;
  return {dims, dtype, dims.size() == 3 ? Tag::nwc : dims.size() == 4 ? Tag::nhwc : Tag::ndhwc};
}

// (*window, C / groups, O), or as oneDNN likes it best. Without groups the axis of groups is left out.
memory::desc KernelDesc(const Dims& dims, memory::data_type dtype, bool plain) {
  using Tag = memory::format_tag;
  bool grouped = dims[0] > 1;
  Dims shape(dims.begin() + (grouped ? 0 : 1), dims.end());
  Tag tag = Tag::any;
  if (plain) {
    const Tag tags[2][3] = {{Tag::wio, Tag::hwio, Tag::dhwio}, {Tag::wigo, Tag::hwigo, Tag::dhwigo}};
    tag = tags[grouped][dims.size() - 4];
  }
  return {shape, dtype, tag};
}

size_t Product(const Dims& dims) {
  size_t product = 1;
  for (auto d : dims) product *= d;
  return product;
}

Plan::Plan(const Problem& problem) : p_(problem) {
  plain_kernel_ = KernelDesc(p_.w, p_.dtype, true);
  // The gradient by the kernel is summed up in float32 whatever the dtype of its operands.
  kernel_ = KernelDesc(p_.w, p_.kind == Kind::kKernel ? memory::data_type::f32 : p_.dtype, false);
  bias_ = memory::desc({p_.y[1]}, p_.dtype, memory::format_tag::a);
  OneThread one;
  int64_t batch = p_.x[0], count = std::min(batch, p_.threads), start = 0;
  for (int64_t i = 0; i < count; ++i) {
    int64_t size = batch / count + (i < batch % count);
    AddPiece(start, size);
    start += size;
  }
  reorders_kernel_ = kernel_ != plain_kernel_;
  if (p_.kind == Kind::kKernel) {
    if (reorders_kernel_) kernel_reorder_ = dnnl::reorder({Engine(), kernel_, Engine(), plain_kernel_});
  } else if (reorders_kernel_) {
    kernel_reorder_ = dnnl::reorder({Engine(), plain_kernel_, Engine(), kernel_});
  }
}

void Plan::AddPiece(int64_t start, int64_t size) {
  Dims x = p_.x, y = p_.y;
  x[0] = y[0] = size;
  memory::desc x_desc = ActivationDesc(x, p_.dtype), y_desc = ActivationDesc(y, p_.dtype);
  size_t width = memory::data_type_size(p_.dtype);
  size_t x_offset = width * start * (Product(x) / size), y_offset = width * start * (Product(y) / size);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  auto algorithm = dnnl::algorithm::convolution_direct;
  // Later pieces take the kernel in the form that the first one chose.
  if (p_.kind == Kind::kForward) {
    if (p_.relu) {
      dnnl::post_ops post;
      post.append_eltwise(dnnl::algorithm::eltwise_relu, 0.f, 0.f);
      attr.set_post_ops(post);
    }
    auto bias = p_.bias ? bias_ : memory::desc();
    dnnl::convolution_forward::primitive_desc desc(
        Engine(), dnnl::prop_kind::forward_training, algorithm, x_desc, kernel_, bias, y_desc, p_.strides,
        p_.dilation, p_.before, p_.after, attr);
    kernel_ = desc.weights_desc();
    pieces_.push_back({dnnl::convolution_forward(desc), x_desc, y_desc, desc.scratchpad_desc(), x_offset, 0, y_offset});
    return;
  }
  dnnl::convolution_forward::primitive_desc hint(
      Engine(), dnnl::prop_kind::forward_training, algorithm, x_desc, KernelDesc(p_.w, p_.dtype, false), y_desc,
      p_.strides, p_.dilation, p_.before, p_.after);
  if (p_.kind == Kind::kInputs) {
    dnnl::convolution_backward_data::primitive_desc desc(
        Engine(), algorithm, x_desc, kernel_, y_desc, p_.strides, p_.dilation, p_.before, p_.after, hint, attr);
    kernel_ = desc.weights_desc();
    pieces_.push_back(
        {dnnl::convolution_backward_data(desc), y_desc, x_desc, desc.scratchpad_desc(), y_offset, 0, x_offset});
  } else {
    dnnl::convolution_backward_weights::primitive_desc desc(
        Engine(), algorithm, x_desc, kernel_, y_desc, p_.strides, p_.dilation, p_.before, p_.after, hint, attr);
    kernel_ = desc.diff_weights_desc();
    pieces_.push_back(
        {dnnl::convolution_backward_weights(desc), x_desc, y_desc, desc.scratchpad_desc(), x_offset, y_offset, 0});
  }
}

void* At(const void* data, size_t offset) { return const_cast<char*>(static_cast<const char*>(data)) + offset; }

void Plan::Run(ffi::ThreadPool& pool, const void* lhs, const void* rhs, const void* bias, void* out) const {
  const dnnl::engine& engine = Engine();
  int64_t count = pieces_.size();
  if (p_.kind != Kind::kKernel) {
    const void* kernel = rhs;
    if (reorders_kernel_) {
      OneThread one;
      kernel = Workspace(0, kernel_.get_size());
      dnnl::stream stream(engine);
      kernel_reorder_.execute(stream, {{DNNL_ARG_FROM, memory(plain_kernel_, engine, At(rhs, 0))},
                                       {DNNL_ARG_TO, memory(kernel_, engine, At(kernel, 0))}});
    }
    bool forward = p_.kind == Kind::kForward;
    ParallelFor(pool, count, [&](int64_t i) {
      OneThread one;
      const Piece& piece = pieces_[i];
      dnnl::stream stream(engine);
      std::unordered_map<int, memory> args = {
          {forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_DST, memory(piece.lhs, engine, At(lhs, piece.lhs_offset))},
          {DNNL_ARG_WEIGHTS, memory(kernel_, engine, At(kernel, 0))},
          {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_SRC, memory(piece.out, engine, At(out, piece.out_offset))},
          {DNNL_ARG_SCRATCHPAD, memory(piece.scratch, engine, Workspace(1, piece.scratch.get_size()))}};
      if (bias) args.insert({DNNL_ARG_BIAS, memory(bias_, engine, At(bias, 0))});
      piece.primitive.execute(stream, args);
    });
    return;
  }
  // Each piece has a kernel gradient of its own; the sum comes last.
  size_t bytes = (kernel_.get_size() + 63) / 64 * 64;
  bool direct = count == 1 && !reorders_kernel_;
  char* parts = direct ? static_cast<char*>(out) : static_cast<char*>(Workspace(0, bytes * count));
  ParallelFor(pool, count, [&](int64_t i) {
    OneThread one;
    const Piece& piece = pieces_[i];
    dnnl::stream stream(engine);
    piece.primitive.execute(
        stream, {{DNNL_ARG_SRC, memory(piece.lhs, engine, At(lhs, piece.lhs_offset))},
                 {DNNL_ARG_DIFF_DST, memory(piece.out, engine, At(rhs, piece.rhs_offset))},
                 {DNNL_ARG_DIFF_WEIGHTS, memory(kernel_, engine, parts + i * bytes)},
                 {DNNL_ARG_SCRATCHPAD, memory(piece.scratch, engine, Workspace(1, piece.scratch.get_size()))}});
  });
  if (direct) return;
  if (count > 1) {
    int64_t floats = bytes / sizeof(float), blocks = std::max<int64_t>(1, std::min<int64_t>(p_.threads, floats / 4096));
    float* sum = reinterpret_cast<float*>(parts);
    ParallelFor(pool, blocks, [&](int64_t block) {
      for (int64_t piece = 1; piece < count; ++piece) {
        const float* part = sum + piece * floats;
        for (int64_t i = floats * block / blocks; i < floats * (block + 1) / blocks; ++i) sum[i] += part[i];
      }
    });
  }
  OneThread one;
  dnnl::stream stream(engine);
  if (reorders_kernel_) {
    kernel_reorder_.execute(stream, {{DNNL_ARG_FROM, memory(kernel_, engine, parts)},
                                     {DNNL_ARG_TO, memory(plain_kernel_, engine, out)}});
  } else {
    std::memcpy(out, parts, kernel_.get_size());
  }
}

// Plans are kept: making one takes longer than a small convolution.
std::shared_ptr<const Plan> GetPlan(const Problem& problem) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Plan>> plans;
  std::string key = problem.Key();
  std::lock_guard<std::mutex> lock(mutex);
  auto& plan = plans[key];
  if (!plan) {
    if (plans.size() > 2048) plans.clear();
    plan = std::make_shared<const Plan>(problem);
  }
  return plan;
}

ffi::Error Wrong(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, "hornbeam_convolution: " + what);
}

std::string Text(const Dims& dims) {
  std::string text = "(";
  for (size_t i = 0; i < dims.size(); ++i) text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + ")";
}

// Fills `p` from the arrays x (N, *space, C), w (*window, C / groups, O) and y (N, *space, O); returns what is wrong.
std::string Fill(Problem& p, const Dims& x, const Dims& w, const Dims& y, int64_t groups) {
  size_t rank = p.strides.size();
  if (rank < 1 || rank > 3 || p.dilation.size() != rank || p.before.size() != rank || p.after.size() != rank)
    return "expected one stride, dilation and padding for each of 1 to 3 spatial axes";
  if (x.size() != rank + 2 || w.size() != rank + 2 || y.size() != rank + 2)
    return "expected arrays of " + std::to_string(rank + 2) + " axes";
  // Larger numbers could overflow below, and inside oneDNN.
  auto large = [](const Dims& dims) { return std::any_of(dims.begin(), dims.end(), [](int64_t n) { return n >> 31; }); };
  for (const Dims* dims : std::initializer_list<const Dims*>{&x, &w, &y, &p.strides, &p.dilation, &p.before, &p.after})
    if (large(*dims)) return "a number is negative or too large";
  if (groups >> 31) return "a number is negative or too large";
  int64_t channels = x[rank + 1], filters = y[rank + 1];
  bool fits = groups >= 1 && x[0] == y[0] && w[rank + 1] == filters && filters % groups == 0 &&
              w[rank] * groups == channels;
  for (size_t i = 0; i < rank && fits; ++i) {
    if (p.strides[i] < 1 || w[i] < 1) return "strides and window must be positive";
    // oneDNN's gradients are wrong where windows lie wholly in the padding.
    int64_t reach = (w[i] - 1) * (p.dilation[i] + 1);
    if (p.before[i] > reach || p.after[i] > reach) return "the padding is wider than the window";
    int64_t room = x[i + 1] + p.before[i] + p.after[i] - reach - 1;
    fits = y[i + 1] == (room < 0 ? 0 : room / p.strides[i] + 1);
  }
  if (!fits)
    return "shapes do not fit: inputs " + Text(x) + ", kernel " + Text(w) + ", outputs " + Text(y) + ", groups " +
           std::to_string(groups);
  auto channels_second = [rank](const Dims& d) {
    Dims result = {d[0], d[rank + 1]};
    result.insert(result.end(), d.begin() + 1, d.end() - 1);
    return result;
  };
  p.x = channels_second(x);
  p.y = channels_second(y);
  p.w = {groups, filters / groups, w[rank]};
  p.w.insert(p.w.end(), w.begin(), w.begin() + rank);
  return "";
}

ffi::Error Convolution(ffi::ThreadPool pool, ffi::RemainingArgs args, ffi::Result<ffi::AnyBuffer> result,
                       std::string_view kind, std::string_view activation, ffi::Span<const int64_t> strides,
                       ffi::Span<const int64_t> dilation, ffi::Span<const int64_t> before,
                       ffi::Span<const int64_t> after, int64_t groups) {
  Problem p;
  if (kind == "forward") p.kind = Kind::kForward;
  else if (kind == "inputs") p.kind = Kind::kInputs;
  else if (kind == "kernel") p.kind = Kind::kKernel;
  else return Wrong("kind must be forward, inputs or kernel");
  p.relu = activation == "relu";
  if (!p.relu && activation != "linear") return Wrong("activation must be linear or relu");
  p.bias = args.size() == 3;
  if (args.size() != 2 && !(p.bias && p.kind == Kind::kForward)) return Wrong("expected 2 arrays, forward 2 or 3");
  if (p.relu && p.kind != Kind::kForward) return Wrong("only forward has an activation");

  std::vector<ffi::AnyBuffer> arrays;
  for (size_t i = 0; i < args.size(); ++i) arrays.push_back(*args.get<ffi::AnyBuffer>(i));
  auto dtype = result->element_type();
  for (const auto& array : arrays)
    if (array.element_type() != dtype) return Wrong("arrays differ in dtype");
  if (dtype == ffi::DataType::F32) p.dtype = memory::data_type::f32;
  else if (dtype == ffi::DataType::BF16) p.dtype = memory::data_type::bf16;
  else return Wrong("dtype must be float32 or bfloat16");

  auto copy = [](ffi::Span<const int64_t> values) { return Dims(values.begin(), values.end()); };
  p.strides = copy(strides);
  p.dilation = copy(dilation);
  for (auto& d : p.dilation) --d;  // oneDNN counts what lies between
  p.before = copy(before);
  p.after = copy(after);
  Dims l = copy(arrays[0].dimensions()), r = copy(arrays[1].dimensions()), o = copy(result->dimensions());
  std::string wrong = p.kind == Kind::kForward  ? Fill(p, l, r, o, groups)
                      : p.kind == Kind::kInputs ? Fill(p, o, r, l, groups)
                                                : Fill(p, l, o, r, groups);
  if (!wrong.empty()) return Wrong(wrong);
  if (p.bias && copy(arrays[2].dimensions()) != Dims{p.y[1]}) return Wrong("the bias must have one number a filter");

  // oneDNN refuses empty arrays; where nothing is summed up, gradients are zero. Forward, XLA computes such cases.
  if (result->element_count() == 0) return ffi::Error::Success();
  for (int i = 0; i < 2; ++i) {
    if (arrays[i].element_count() > 0) continue;
    if (p.bias) return Wrong("empty inputs");
    std::memset(result->untyped_data(), 0, result->size_bytes());
    return ffi::Error::Success();
  }
  p.threads = std::max<int64_t>(1, pool.num_threads());
  try {
    GetPlan(p)->Run(pool, arrays[0].untyped_data(), arrays[1].untyped_data(),
                    p.bias ? arrays[2].untyped_data() : nullptr, result->untyped_data());
  } catch (const std::exception& error) {
    return ffi::Error(ffi::ErrorCode::kInternal,
                      std::string("hornbeam_convolution: oneDNN: ") + error.what() + ", inputs " + Text(p.x) +
                          ", kernel " + Text(p.w) + ", outputs " + Text(p.y));
  }
  return ffi::Error::Success();
}

}  // namespace
}  // namespace hornbeam

XLA_FFI_DEFINE_HANDLER_SYMBOL(HornbeamConvolution, hornbeam::Convolution,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .RemainingArgs()
                                  .Ret<ffi::AnyBuffer>()
                                  .Attr<std::string_view>("kind")
                                  .Attr<std::string_view>("activation")
                                  .Attr<ffi::Span<const int64_t>>("strides")
                                  .Attr<ffi::Span<const int64_t>>("dilation")
                                  .Attr<ffi::Span<const int64_t>>("before")
                                  .Attr<ffi::Span<const int64_t>>("after")
                                  .Attr<int64_t>("groups"));

// Whether oneDNN has bfloat16 convolutions for this processor.
extern "C" bool hornbeam_has_bfloat16() {
  auto isa = dnnl::get_effective_cpu_isa();
  return isa >= dnnl::cpu_isa::avx512_core;
}
