// Convolution and its gradients with respect to inputs and kernel. oneDNN computes them, except
// depthwise convolutions (depthwise.cc) and convolutions from or to few channels (few_channels.cc).
//
// Activations keep their layout (N, *space, C). Kernels are (*window, C / groups, O) and are
// converted to the layout that oneDNN prefers, which costs little compared with the convolution.
//
// The batch, or the rows of each image if there are few examples, is divided into one piece per
// thread of XLA. Each piece is a oneDNN primitive with one thread, so no second thread pool
// competes with XLA's.

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "depthwise.h"
#include "few_channels.h"
#include "oneapi/dnnl/dnnl.hpp"
#include "one_thread.h"
#include "pages.h"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace hornbeam {
namespace {

using dnnl::memory;
using Dims = memory::dims;

enum class Kind { kForward, kInputs, kKernel };

// Everything that a plan depends on.
struct Problem {
  Kind kind;
  memory::data_type dtype;
  bool bias, relu;
  // In oneDNN's order: (N, C, *space), (groups, O / groups, C / groups, *window), (N, O, *space).
  Dims x, w, y;
  Dims strides, dilation, before, after;
  int64_t threads;
  int64_t row;  // number of filters in XLA's kernel; more than in `w` if `w` is a part of it

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

// Returns memory of the calling thread. It grows and is reused, because new pages cost more than a
// small convolution. Buffers that are in use at the same time need different values of `slot`.
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

class Plan {
 public:
  explicit Plan(const Problem& problem);
  void Run(ffi::ThreadPool& pool, const void* lhs, const void* rhs, const void* bias, void* out) const;

 private:
  // A range of examples, and of rows (positions on the first spatial axis) in each example.
  struct Range {
    int64_t image, images, x_row, x_rows, y_row, y_rows, before, after;
  };
  struct Piece {
    dnnl::primitive primitive;
    memory::desc lhs, out, scratch;  // out: the gradient of the outputs, for kKernel
    size_t lhs_offset, out_offset;   // in bytes
  };
  struct Reorder {
    dnnl::reorder primitive;
    memory::desc from, to;
  };

  std::vector<Range> Ranges(int64_t count) const;
  Range Rows(int64_t image, int64_t band, int64_t bands) const;
  void Cut(const std::vector<Range>& ranges);
  void AddPiece(const Range& range);
  void AddReorders();
  void RunReorders(ffi::ThreadPool& pool, const void* from, void* to) const;
  void RunFilters(ffi::ThreadPool& pool, const void* lhs, const void* rhs, void* out) const;
  void RunKernelGradient(ffi::ThreadPool& pool, const void* lhs, const void* rhs, void* out) const;

  Problem p_;
  memory::desc plain_kernel_, kernel_, bias_;
  // The gradient with respect to a part of the filters, if each thread computes a part.
  std::unique_ptr<const Plan> part_;
  std::vector<Reorder> reorders_;  // empty if oneDNN uses the kernel in its own layout
  std::vector<Piece> pieces_;
};

memory::desc ActivationDesc(const Dims& dims, memory::data_type dtype) {
  using Tag = memory::format_tag;
  return {dims, dtype, dims.size() == 3 ? Tag::nwc : dims.size() == 4 ? Tag::nhwc : Tag::ndhwc};
}

// Describes a kernel as (*window, C / groups, O) or, unless `plain`, in the layout that oneDNN
// prefers. There is an axis of groups only if there are several groups.
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
  OneThread one;
  Dims whole = p_.w;
  whole[1] = p_.row;
  plain_kernel_ = KernelDesc(whole, p_.dtype, true);
  if (p_.row != p_.w[1]) {
    Dims size = plain_kernel_.get_dims();
    size[0] = p_.w[1];
    plain_kernel_ = plain_kernel_.submemory_desc(size, Dims(size.size(), 0));
  }
  bias_ = memory::desc({p_.y[1]}, p_.dtype, memory::format_tag::a);
  // Waking threads costs more than a small convolution.
  double products = double(Product(p_.y)) * double(Product(p_.w)) / double(p_.y[1]);
  int64_t count = products < 1e6 ? 1 : p_.threads;
  // If the kernel is larger than inputs and outputs, adding up the kernel gradients of the threads
  // costs more than reading all inputs in each thread.
  if (p_.kind == Kind::kKernel && count > 1 && p_.w[0] == 1 && p_.y[1] % (16 * count) == 0 &&
      Product(p_.w) > Product(p_.x) + Product(p_.y)) {
    Problem part = p_;
    part.y[1] = part.w[1] = p_.y[1] / count;
    part.threads = 1;
    try {
      part_ = std::make_unique<const Plan>(part);
      return;
    } catch (const dnnl::error&) {
      // oneDNN cannot convert its layout of the kernel to some columns of XLA's.
    }
  }
  try {
    Cut(Ranges(count));
  } catch (const dnnl::error&) {
    if (count == 1) throw;
    Cut(Ranges(1));  // pieces of different sizes may prefer different layouts of the kernel
  }
  AddReorders();
}

// Divides the work into ranges of whole examples if there are enough, else into bands of rows of
// each example.
std::vector<Plan::Range> Plan::Ranges(int64_t count) const {
  int64_t batch = p_.x[0];
  std::vector<Range> ranges;
  bool uneven = batch < count || (batch % count && batch < 2 * count);
  int64_t rows = p_.kind == Kind::kInputs ? p_.x[2] / p_.strides[0] : p_.y[2];
  int64_t bands = uneven ? std::max<int64_t>(1, std::min(count, rows / 2)) : 1;
  if (bands > 1) {
    for (int64_t image = 0; image < batch; ++image)
      for (int64_t band = 0; band < bands; ++band) ranges.push_back(Rows(image, band, bands));
    return ranges;
  }
  count = std::min(count, batch);
  for (int64_t i = 0, image = 0; i < count; ++i) {
    int64_t images = batch / count + (i < batch % count);
    ranges.push_back({image, images, 0, p_.x[2], 0, p_.y[2], p_.before[0], p_.after[0]});
    image += images;
  }
  return ranges;
}

// Returns one band of an image: a separate convolution of the rows that its windows touch.
Plan::Range Plan::Rows(int64_t image, int64_t band, int64_t bands) const {
  int64_t stride = p_.strides[0], before = p_.before[0], height = p_.x[2], outputs = p_.y[2];
  int64_t reach = (p_.w[3] - 1) * (p_.dilation[0] + 1);
  Range r = {image, 1};
  if (p_.kind == Kind::kInputs) {
    // First the rows of the inputs, where each band begins at a window, then the windows that touch
    // these rows.
    int64_t windows = (height + before + stride - 1) / stride;
    auto edge = [&](int64_t i) { return std::clamp<int64_t>(windows * i / bands * stride - before, 0, height); };
    int64_t begin = edge(band), end = band + 1 == bands ? height : edge(band + 1);
    r.x_row = begin;
    r.x_rows = end - begin;
    r.y_row = std::max<int64_t>(0, (begin - reach + before + stride - 1) / stride);
    if (begin - reach + before <= 0) r.y_row = 0;
    r.y_rows = std::min(outputs - 1, (end - 1 + before) / stride) + 1 - r.y_row;
    r.before = begin + before - r.y_row * stride;
    r.after = std::max<int64_t>(0, (r.y_rows - 1) * stride + reach + 1 - r.x_rows - r.before);
  } else {
    r.y_row = outputs * band / bands;
    r.y_rows = outputs * (band + 1) / bands - r.y_row;
    int64_t first = r.y_row * stride - before, last = (r.y_row + r.y_rows - 1) * stride - before + reach;
    r.x_row = std::max<int64_t>(0, first);
    r.x_rows = std::min(height - 1, last) + 1 - r.x_row;
    r.before = r.x_row - first;
    r.after = std::max<int64_t>(0, last - (height - 1));
  }
  return r;
}

void Plan::Cut(const std::vector<Range>& ranges) {
  pieces_.clear();
  // The gradient with respect to the kernel is summed in float32, whatever the dtype of the
  // operands.
  kernel_ = KernelDesc(p_.w, p_.kind == Kind::kKernel ? memory::data_type::f32 : p_.dtype, false);
  for (const Range& range : ranges) AddPiece(range);
}

void Plan::AddPiece(const Range& range) {
  Dims x = p_.x, y = p_.y, before = p_.before, after = p_.after;
  x[0] = y[0] = range.images;
  x[2] = range.x_rows;
  y[2] = range.y_rows;
  before[0] = range.before;
  after[0] = range.after;
  memory::desc x_desc = ActivationDesc(x, p_.dtype), y_desc = ActivationDesc(y, p_.dtype);
  auto offset = [&](const Dims& whole, int64_t row) {
    size_t row_size = Product(whole) / (whole[0] * whole[2]);
    return memory::data_type_size(p_.dtype) * row_size * (range.image * whole[2] + row);
  };
  size_t x_offset = offset(p_.x, range.x_row), y_offset = offset(p_.y, range.y_row);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  auto algorithm = dnnl::algorithm::convolution_direct;
  // Later pieces use the layout of the kernel that the first one chose.
  if (p_.kind == Kind::kForward) {
    if (p_.relu) {
      dnnl::post_ops post;
      post.append_eltwise(dnnl::algorithm::eltwise_relu, 0.f, 0.f);
      attr.set_post_ops(post);
    }
    dnnl::convolution_forward::primitive_desc desc(
        Engine(), dnnl::prop_kind::forward_training, algorithm, x_desc, kernel_, p_.bias ? bias_ : memory::desc(),
        y_desc, p_.strides, p_.dilation, before, after, attr);
    kernel_ = desc.weights_desc();
    pieces_.push_back({dnnl::convolution_forward(desc), x_desc, y_desc, desc.scratchpad_desc(), x_offset, y_offset});
    return;
  }
  dnnl::convolution_forward::primitive_desc hint(
      Engine(), dnnl::prop_kind::forward_training, algorithm, x_desc, KernelDesc(p_.w, p_.dtype, false), y_desc,
      p_.strides, p_.dilation, before, after);
  if (p_.kind == Kind::kInputs) {
    dnnl::convolution_backward_data::primitive_desc desc(Engine(), algorithm, x_desc, kernel_, y_desc, p_.strides,
                                                         p_.dilation, before, after, hint, attr);
    kernel_ = desc.weights_desc();
    pieces_.push_back(
        {dnnl::convolution_backward_data(desc), y_desc, x_desc, desc.scratchpad_desc(), y_offset, x_offset});
  } else {
    dnnl::convolution_backward_weights::primitive_desc desc(Engine(), algorithm, x_desc, kernel_, y_desc, p_.strides,
                                                            p_.dilation, before, after, hint, attr);
    kernel_ = desc.diff_weights_desc();
    pieces_.push_back(
        {dnnl::convolution_backward_weights(desc), x_desc, y_desc, desc.scratchpad_desc(), x_offset, y_offset});
  }
}

// Adds the conversion between XLA's and oneDNN's layout of the kernel, in parts if the kernel is
// large.
void Plan::AddReorders() {
  if (kernel_ == plain_kernel_) return;
  bool gradient = p_.kind == Kind::kKernel;
  const memory::desc &from = gradient ? kernel_ : plain_kernel_, &to = gradient ? plain_kernel_ : kernel_;
  auto add = [this](const memory::desc& from, const memory::desc& to) {
    reorders_.push_back({dnnl::reorder({Engine(), from, Engine(), to}), from, to});
  };
  constexpr int64_t kBlock = 64;  // the largest block in oneDNN's layouts
  Dims dims = plain_kernel_.get_dims();
  int64_t blocks = dims[0] / kBlock, parts = std::min(p_.threads, blocks);
  if (parts > 1 && dims[0] % kBlock == 0 && Product(dims) > 65536) {
    try {
      for (int64_t i = 0; i < parts; ++i) {
        Dims size = dims, start(dims.size(), 0);
        start[0] = blocks * i / parts * kBlock;
        size[0] = blocks * (i + 1) / parts * kBlock - start[0];
        add(from.submemory_desc(size, start), to.submemory_desc(size, start));
      }
      return;
    } catch (const dnnl::error&) {  // this layout cannot be divided
      reorders_.clear();
    }
  }
  add(from, to);
}

void* At(const void* data, size_t offset) { return const_cast<char*>(static_cast<const char*>(data)) + offset; }

void Plan::RunReorders(ffi::ThreadPool& pool, const void* from, void* to) const {
  ParallelFor(pool, reorders_.size(), [&](int64_t i) {
    OneThread one;
    dnnl::stream stream(Engine());
    reorders_[i].primitive.execute(stream, {{DNNL_ARG_FROM, memory(reorders_[i].from, Engine(), At(from, 0))},
                                            {DNNL_ARG_TO, memory(reorders_[i].to, Engine(), to)}});
  });
}

void Plan::Run(ffi::ThreadPool& pool, const void* lhs, const void* rhs, const void* bias, void* out) const {
  if (p_.kind == Kind::kKernel) return RunKernelGradient(pool, lhs, rhs, out);
  const void* kernel = rhs;
  if (!reorders_.empty()) {
    kernel = Workspace(0, kernel_.get_size());
    RunReorders(pool, rhs, At(kernel, 0));
  }
  bool forward = p_.kind == Kind::kForward;
  ParallelFor(pool, pieces_.size(), [&](int64_t i) {
    OneThread one;
    const Piece& piece = pieces_[i];
    dnnl::stream stream(Engine());
    std::unordered_map<int, memory> args = {
        {forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_DST, memory(piece.lhs, Engine(), At(lhs, piece.lhs_offset))},
        {DNNL_ARG_WEIGHTS, memory(kernel_, Engine(), At(kernel, 0))},
        {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_SRC, memory(piece.out, Engine(), At(out, piece.out_offset))},
        {DNNL_ARG_SCRATCHPAD, memory(piece.scratch, Engine(), Workspace(1, piece.scratch.get_size()))}};
    if (bias) args.insert({DNNL_ARG_BIAS, memory(bias_, Engine(), At(bias, 0))});
    piece.primitive.execute(stream, args);
  });
}

// Each thread computes some of the filters, after gathering the columns of the outputs' gradient
// for them.
void Plan::RunFilters(ffi::ThreadPool& pool, const void* lhs, const void* rhs, void* out) const {
  size_t filters = part_->p_.y[1], bytes = filters * memory::data_type_size(p_.dtype);
  size_t parts = p_.y[1] / filters, places = Product(p_.y) / p_.y[1];
  ParallelFor(pool, parts, [&](int64_t i) {
    void* gathered = Workspace(2, places * bytes);
    for (size_t place = 0; place < places; ++place)
      std::memcpy(At(gathered, place * bytes), At(rhs, (place * parts + i) * bytes), bytes);
    part_->Run(pool, lhs, gathered, nullptr, At(out, i * bytes));
  });
}

// Each piece computes a kernel gradient of its own; they are added up at the end.
void Plan::RunKernelGradient(ffi::ThreadPool& pool, const void* lhs, const void* rhs, void* out) const {
  if (part_) return RunFilters(pool, lhs, rhs, out);
  int64_t count = pieces_.size();
  size_t bytes = (kernel_.get_size() + 63) / 64 * 64;
  char* parts = count == 1 && reorders_.empty() ? static_cast<char*>(out) : static_cast<char*>(Workspace(0, bytes * count));
  ParallelFor(pool, count, [&](int64_t i) {
    OneThread one;
    const Piece& piece = pieces_[i];
    dnnl::stream stream(Engine());
    piece.primitive.execute(
        stream, {{DNNL_ARG_SRC, memory(piece.lhs, Engine(), At(lhs, piece.lhs_offset))},
                 {DNNL_ARG_DIFF_DST, memory(piece.out, Engine(), At(rhs, piece.out_offset))},
                 {DNNL_ARG_DIFF_WEIGHTS, memory(kernel_, Engine(), parts + i * bytes)},
                 {DNNL_ARG_SCRATCHPAD, memory(piece.scratch, Engine(), Workspace(1, piece.scratch.get_size()))}});
  });
  if (count > 1) {
    float* sum = reinterpret_cast<float*>(parts);
    int64_t floats = kernel_.get_size() / sizeof(float), step = bytes / sizeof(float);
    int64_t blocks = std::clamp<int64_t>(floats / 16384, 1, p_.threads);
    ParallelFor(pool, blocks, [&](int64_t block) {
      for (int64_t piece = 1; piece < count; ++piece) {
        const float* part = sum + piece * step;
        for (int64_t i = floats * block / blocks; i < floats * (block + 1) / blocks; ++i) sum[i] += part[i];
      }
    });
  }
  if (!reorders_.empty()) {
    RunReorders(pool, parts, out);
  } else if (count > 1) {
    std::memcpy(out, parts, kernel_.get_size());
  }
}

// Plans are cached: creating one takes longer than a small convolution.
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

// Fills `p` from the arrays x (N, *space, C), w (*window, C / groups, O) and y (N, *space, O);
// returns an error.
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
    // oneDNN's gradients are wrong if a window lies entirely in the padding.
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
  p.row = p.w[1];
  p.w.insert(p.w.end(), w.begin(), w.begin() + rank);
  return "";
}

// Converts `p` for RunDepthwise; returns the reason if it is not supported there.
std::string Describe(const Problem& p, Depthwise& d) {
  bool inputs = p.kind == Kind::kInputs;
  if (p.dtype != memory::data_type::f32) return "depthwise: dtype must be float32";
  if (p.strides.size() != 2) return "depthwise: expected 2 spatial axes";
  if (p.kind == Kind::kKernel) return "depthwise: kind must be forward or inputs";
  if (p.w[1] != 1 || p.w[2] != 1) return "depthwise: expected a filter a channel";
  if (p.w[3] != p.w[4] || !DepthwiseKnows(p.w[3])) return "depthwise: a window of this size is not known";
  if (p.strides != Dims{1, 1} || p.dilation != Dims{0, 0}) return "depthwise: strides and dilation must be 1";
  const Dims &from = inputs ? p.y : p.x, &to = inputs ? p.x : p.y;
  auto before = [&](int axis) { return inputs ? p.w[3] - 1 - p.before[axis] : p.before[axis]; };
  d = {p.x[0], from[2], from[3], p.x[1], to[2], to[3], p.w[3], before(0), before(1), inputs, p.relu};
  return "";
}

// Converts `p` for RunFewChannels; returns the reason if it is not supported there.
std::string Describe(const Problem& p, FewChannels& d) {
  bool inputs = p.kind == Kind::kInputs;
  if (p.dtype != memory::data_type::f32) return "few channels: dtype must be float32";
  if (p.strides.size() != 2) return "few channels: expected 2 spatial axes";
  if (p.kind == Kind::kKernel) return "few channels: kind must be forward or inputs";
  if (p.w[0] != 1) return "few channels: expected one group";
  if (p.dilation != Dims{0, 0}) return "few channels: dilation must be 1";
  if (inputs && p.strides != Dims{1, 1}) return "few channels: strides of the gradient must be 1";
  const Dims &from = inputs ? p.y : p.x, &to = inputs ? p.x : p.y;
  if (!FewChannelsKnows(from[1], to[1])) return "few channels: these numbers of channels are not known";
  auto before = [&](int axis) { return inputs ? p.w[3 + axis] - 1 - p.before[axis] : p.before[axis]; };
  d = {p.x[0], from[2], from[3],      from[1],      to[2],     to[3],     to[1],
       p.w[3], p.w[4],  p.strides[0], p.strides[1], before(0), before(1), inputs, p.relu};
  return "";
}

ffi::Error Convolution(ffi::ThreadPool pool, ffi::RemainingArgs args, ffi::Result<ffi::AnyBuffer> result,
                       std::string_view kind, std::string_view by, std::string_view activation,
                       ffi::Span<const int64_t> strides, ffi::Span<const int64_t> dilation,
                       ffi::Span<const int64_t> before, ffi::Span<const int64_t> after, int64_t groups) {
  Problem p;
  if (kind == "forward") p.kind = Kind::kForward;
  else if (kind == "inputs") p.kind = Kind::kInputs;
  else if (kind == "kernel") p.kind = Kind::kKernel;
  else return Wrong("kind must be forward, inputs or kernel");
  p.relu = activation == "relu";
  if (!p.relu && activation != "linear") return Wrong("activation must be linear or relu");
  if (by != "onednn" && by != "depthwise" && by != "few channels")
    return Wrong("by must be onednn, depthwise or few channels");
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
  for (auto& d : p.dilation) --d;  // oneDNN counts the elements in between
  p.before = copy(before);
  p.after = copy(after);
  Dims l = copy(arrays[0].dimensions()), r = copy(arrays[1].dimensions()), o = copy(result->dimensions());
  std::string wrong = p.kind == Kind::kForward  ? Fill(p, l, r, o, groups)
                      : p.kind == Kind::kInputs ? Fill(p, o, r, l, groups)
                                                : Fill(p, l, o, r, groups);
  if (!wrong.empty()) return Wrong(wrong);
  if (p.bias && copy(arrays[2].dimensions()) != Dims{p.y[1]}) return Wrong("the bias must have one number a filter");
  Depthwise depthwise;
  FewChannels few;
  if (by == "depthwise") wrong = Describe(p, depthwise);
  if (by == "few channels") wrong = Describe(p, few);
  if (!wrong.empty()) return Wrong(wrong);

  // oneDNN refuses empty arrays. Gradients summed over nothing are zero; XLA computes the forward
  // cases.
  if (result->element_count() == 0) return ffi::Error::Success();
  for (int i = 0; i < 2; ++i) {
    if (arrays[i].element_count() > 0) continue;
    if (p.bias) return Wrong("empty inputs");
    std::memset(result->untyped_data(), 0, result->size_bytes());
    return ffi::Error::Success();
  }
  p.threads = std::max<int64_t>(1, pool.num_threads());
  UseLargePages(result->untyped_data(), result->size_bytes());
  const void *lhs = arrays[0].untyped_data(), *rhs = arrays[1].untyped_data();
  const void* bias = p.bias ? arrays[2].untyped_data() : nullptr;
  void* out = result->untyped_data();
  auto floats = [](const void* data) { return static_cast<const float*>(data); };
  try {
    if (by == "depthwise") {
      RunDepthwise(pool, depthwise, floats(lhs), floats(rhs), floats(bias), static_cast<float*>(out));
    } else if (by == "few channels") {
      RunFewChannels(pool, few, floats(lhs), floats(rhs), floats(bias), static_cast<float*>(out));
    } else {
      GetPlan(p)->Run(pool, lhs, rhs, bias, out);
    }
  } catch (const std::exception& error) {
    return ffi::Error(ffi::ErrorCode::kInternal,
                      std::string("hornbeam_convolution: ") + std::string(by) + ": " + error.what() + ", inputs " + Text(p.x) +
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
                                  .Attr<std::string_view>("by")
                                  .Attr<std::string_view>("activation")
                                  .Attr<ffi::Span<const int64_t>>("strides")
                                  .Attr<ffi::Span<const int64_t>>("dilation")
                                  .Attr<ffi::Span<const int64_t>>("before")
                                  .Attr<ffi::Span<const int64_t>>("after")
                                  .Attr<int64_t>("groups"));

// Whether oneDNN supports bfloat16 convolutions on this processor.
extern "C" bool hornbeam_has_bfloat16() {
  auto isa = dnnl::get_effective_cpu_isa();
  return isa >= dnnl::cpu_isa::avx512_core;
}
