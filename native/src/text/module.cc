// The Python module `hornbeam_cpu.text`: words, vocabularies and hashes of many texts at once.
//
// Each function returns None if the inputs are not for it: texts that UTF-8 cannot represent, or
// objects that are no texts. Hornbeam then computes the result in Python, which also knows the
// right error. The work is done without Python's lock, on memory to which the functions hold
// references.

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "../host/python.h"
#include "../host/threads.h"
#include "hashes.h"
#include "table.h"
#include "texts.h"
#include "tokens.h"

namespace hornbeam {
namespace {

constexpr char kTable[] = "hornbeam_cpu.text.table";

using Vocabulary = Table<int32_t>;

// Calls work(text, i) for all texts, in several threads. Returns false if a text cannot be
// represented in UTF-8.
template <typename Work>
bool ForTexts(const Texts& texts, int64_t threads, const Work& work) {
  std::atomic<bool> all_valid{true};
  ForRanges(texts.size(), threads, [&](int64_t first, int64_t last, int64_t thread) {
    std::string memory;
    bool valid = true;
    for (int64_t i = first; i < last && valid; ++i) {
      const std::string_view text = texts.Get(i, memory, valid);
      if (valid) valid = work(text, i, thread);
    }
    if (!valid) all_valid = false;
  });
  return all_valid;
}

void DeleteTable(PyObject* capsule) { delete static_cast<Vocabulary*>(PyCapsule_GetPointer(capsule, kTable)); }

// table(texts, numbers): a table from texts to int32 numbers.
PyObject* MakeTable(PyObject* arguments) {
  PyObject *source, *numbers_object;
  if (!PyArg_ParseTuple(arguments, "OO", &source, &numbers_object)) return nullptr;
  Texts texts;
  Memory numbers;
  if (!texts.Fill(source, Surrogates::kRefuse)) return NotMine();
  if (!numbers.Fill(numbers_object, false)) return nullptr;
  if (numbers.view.len != Py_ssize_t(texts.size() * sizeof(int32_t))) return Wrong("table: sizes differ");
  auto table = std::make_unique<Vocabulary>(texts.size());
  std::string memory;
  bool valid = true;
  for (int64_t i = 0; i < texts.size(); ++i) {
    const std::string_view text = texts.Get(i, memory, valid);
    table->Get(text) = numbers.data<int32_t>()[i];
  }
  if (!valid) return NotMine();
  PyObject* capsule = PyCapsule_New(table.get(), kTable, DeleteTable);
  if (capsule) table.release();
  return capsule;
}

const Vocabulary* GetTable(PyObject* capsule) {
  return static_cast<const Vocabulary*>(PyCapsule_GetPointer(capsule, kTable));
}

// Writes the number of each text. Looks up several texts at once, because most of the time is spent
// waiting for the table's memory.
//
// A text that the table lacks gets the number `unknown`. If it is not even valid UTF-8, the result is
// false.
bool FindAll(const Vocabulary& table, const Texts& texts, int32_t unknown, int32_t* to) {
  constexpr int64_t kGroup = 16;
  std::atomic<bool> all_valid{true};
  ForRanges(texts.size(), ThreadsFor(texts.bytes()), [&](int64_t first, int64_t last, int64_t) {
    std::string memory[kGroup];
    std::string_view group[kGroup];
    Token tokens[kGroup];
    uint64_t hashes[kGroup];
    const size_t padded = texts.padded_size() <= Token::kShort ? texts.padded_size() : 0;
    bool valid = true;
    for (int64_t begin = first; begin < last; begin += kGroup) {
      const int64_t count = std::min(kGroup, last - begin);
      for (int64_t k = 0; k < count; ++k) {
        if (padded) {
          tokens[k] = Token::Padded(texts.Padded(begin + k), padded);
          group[k] = {texts.Padded(begin + k), tokens[k].size};
        } else {
          group[k] = texts.Get(begin + k, memory[k], valid);
          tokens[k] = Token(group[k]);
        }
        hashes[k] = table.Hash(tokens[k]);
        table.Prefetch(hashes[k]);
      }
      for (int64_t k = 0; k < count; ++k) {
        const int32_t* found = table.Find(group[k], tokens[k], hashes[k]);
        to[begin + k] = found ? *found : unknown;
        if (!found && texts.may_be_invalid() && !IsUtf8(group[k])) valid = false;
      }
    }
    if (!valid) all_valid = false;
  });
  return all_valid;
}

// find(table, texts, unknown, out): writes the number of each text to `out`, int32, and `unknown` for
// a text that the table lacks. Returns True.
PyObject* Find(PyObject* arguments) {
  PyObject *capsule, *source, *out_object;
  int unknown;
  if (!PyArg_ParseTuple(arguments, "OOiO", &capsule, &source, &unknown, &out_object)) return nullptr;
  const Vocabulary* table = GetTable(capsule);
  if (!table) return nullptr;
  Texts texts;
  Memory out;
  // No token of a table holds half of a surrogate pair, so such a text is unknown.
  if (!texts.Fill(source, Surrogates::kKeep, Reading::kOnce)) return NotMine();
  if (!out.Fill(out_object, true)) return nullptr;
  if (out.view.len != Py_ssize_t(texts.size() * sizeof(int32_t))) return Wrong("find: sizes differ");
  bool valid;
  {
    WithoutLock without(texts.needs_lock());
    valid = FindAll(*table, texts, unknown, out.data<int32_t>());
  }
  if (!valid) return NotMine();
  Py_RETURN_TRUE;
}

// Reads (lower, strip, split, sizes). Returns false with a Python error.
bool FillPlan(PyObject* source, Plan& plan) {
  int lower, strip, split;
  PyObject* sizes;
  if (!PyArg_ParseTuple(source, "ppiO!", &lower, &strip, &split, &PyTuple_Type, &sizes)) return false;
  if (split < 0 || split > 2) return Wrong("a plan's split is 0, 1 or 2") != nullptr;
  plan = {lower != 0, strip != 0, Split(split), {}};
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(sizes); ++i) {
    const long long size = PyLong_AsLongLong(PyTuple_GET_ITEM(sizes, i));
    if (size == -1 && PyErr_Occurred()) return false;
    if (size < 1) return Wrong("a plan's sizes are at least 1") != nullptr;
    plan.sizes.push_back(size);
  }
  return true;
}

// Tokens whose places in a table are on their way from memory. Most of the time is spent waiting for
// that, so the tokens of a text are first collected.
class Pending {
 public:
  template <typename Value>
  void Add(const Table<Value>& table, std::string_view text) {
    const Token token(text);
    const uint64_t hash = table.Hash(token);
    table.Prefetch(hash);
    items_.push_back({text, token, hash});
  }

  // Calls work(text, token, hash) for each token, and forgets them.
  template <typename Work>
  void Flush(const Work& work) {
    for (const Item& item : items_) work(item.text, item.token, item.hash);
    items_.clear();
  }

  int64_t size() const { return items_.size(); }

 private:
  struct Item {
    std::string_view text;
    Token token;
    uint64_t hash;
  };
  std::vector<Item> items_;
};

// Numbers of tokens. Those of text `i` are in the vector of the thread that read the text, or in row
// `i` of `fixed` if each row has `length` numbers.
struct Sequences {
  struct Row {
    int64_t thread, begin, size;
  };
  int64_t length;
  int32_t unknown, padding;
  int32_t* fixed = nullptr;
  std::vector<Row> rows = {};
  std::vector<std::vector<int32_t>> numbers = {};

  void Put(int64_t i, int64_t thread, int64_t begin) {
    std::vector<int32_t>& from = numbers[thread];
    if (fixed) {
      std::fill(std::copy(from.begin(), from.end(), fixed + i * length), fixed + (i + 1) * length, padding);
      from.clear();
    } else {
      rows[i] = {thread, begin, int64_t(from.size()) - begin};
    }
  }
};

bool FillSequences(const Texts& texts, const Plan& plan, const Vocabulary& table, Sequences& to) {
  const int64_t threads = ThreadsFor(texts.bytes());
  std::vector<Tokenizer> tokenizers(threads, Tokenizer(plan));
  std::vector<Pending> all_pending(threads);
  to.numbers.resize(threads);
  if (!to.fixed) to.rows.resize(texts.size());
  const int64_t limit = to.fixed ? to.length : std::numeric_limits<int64_t>::max();
  return ForTexts(texts, threads, [&](std::string_view text, int64_t i, int64_t thread) {
    std::vector<int32_t>& numbers = to.numbers[thread];
    Pending& pending = all_pending[thread];
    const int64_t begin = numbers.size();
    const auto find = [&](std::string_view token, const Token& parts, uint64_t hash) {
      const int32_t* found = table.Find(token, parts, hash);
      numbers.push_back(found ? *found : to.unknown);
    };
    const bool valid = tokenizers[thread].Run(text, [&](std::string_view token) {
      pending.Add(table, token);
      if (!plan.sizes.empty()) pending.Flush(find);  // the next one takes the memory of this one
      return int64_t(numbers.size()) - begin + pending.size() < limit;
    });
    pending.Flush(find);
    to.Put(i, thread, begin);
    return valid;
  });
}

bool WithoutLockFill(const Texts& texts, const Plan& plan, const Vocabulary& table, Sequences& to) {
  WithoutLock without;
  return FillSequences(texts, plan, table, to);
}

// Returns a bytearray for int32 numbers; throws if there is no memory.
PyObject* NewArray(int64_t rows, int64_t columns) {
  int64_t bytes;
  if (__builtin_mul_overflow(rows * int64_t(sizeof(int32_t)), columns, &bytes)) throw std::bad_alloc();
  return PyByteArray_FromStringAndSize(nullptr, bytes);
}

// sequences(table, texts, plan, length, unknown, padding): the numbers of the tokens of each text,
// as a bytearray of int32, and their number in a row. `length` 0 means that of the longest text.
PyObject* MakeSequences(PyObject* arguments) {
  PyObject *capsule, *source, *plan_object;
  long long length;
  int unknown, padding;
  if (!PyArg_ParseTuple(arguments, "OOOLii", &capsule, &source, &plan_object, &length, &unknown, &padding))
    return nullptr;
  const Vocabulary* table = GetTable(capsule);
  Plan plan;
  if (!table || !FillPlan(plan_object, plan)) return nullptr;
  Texts texts;
  if (!texts.Fill(source, Surrogates::kRefuse)) return NotMine();
  Sequences found{length, unknown, padding};
  if (length > 0) {
    Reference result(NewArray(texts.size(), length));
    found.fixed = reinterpret_cast<int32_t*>(PyByteArray_AS_STRING(result.get()));
    if (!WithoutLockFill(texts, plan, *table, found)) return NotMine();
    return Py_BuildValue("NL", result.release(), length);
  }
  if (!WithoutLockFill(texts, plan, *table, found)) return NotMine();
  int64_t columns = 0;
  for (const Sequences::Row& row : found.rows) columns = std::max(columns, row.size);
  Reference result(NewArray(texts.size(), columns));
  auto* to = reinterpret_cast<int32_t*>(PyByteArray_AS_STRING(result.get()));
  {
    WithoutLock without;
    ForRanges(texts.size(), ThreadsFor(texts.bytes()), [&](int64_t first, int64_t last, int64_t) {
      for (int64_t i = first; i < last; ++i) {
        const Sequences::Row& row = found.rows[i];
        const int32_t* from = found.numbers[row.thread].data() + row.begin;
        std::fill(std::copy(from, from + row.size, to + i * columns), to + (i + 1) * columns, padding);
      }
    });
  }
  return Py_BuildValue("NL", result.release(), static_cast<long long>(columns));
}

// How often a token occurs, in how many texts, and the last text with it.
struct Counts {
  int64_t total = 0, texts = 0, last = -1;
};

// count(texts, plan): the tokens as `bytes`, how often each occurs, and in how many texts.
PyObject* Count(PyObject* arguments) {
  PyObject *source, *plan_object;
  if (!PyArg_ParseTuple(arguments, "OO", &source, &plan_object)) return nullptr;
  Plan plan;
  if (!FillPlan(plan_object, plan)) return nullptr;
  Texts texts;
  if (!texts.Fill(source, Surrogates::kRefuse)) return NotMine();
  const int64_t threads = ThreadsFor(texts.bytes());
  std::vector<Tokenizer> tokenizers(threads, Tokenizer(plan));
  std::vector<Table<Counts>> tables(threads);
  std::vector<Pending> all_pending(threads);
  bool valid;
  {
    WithoutLock without;
    valid = ForTexts(texts, threads, [&](std::string_view text, int64_t i, int64_t thread) {
      const auto count = [&](std::string_view token, const Token& parts, uint64_t hash) {
        Counts& counts = tables[thread].Get(token, parts, hash);
        ++counts.total;
        counts.texts += counts.last != i;
        counts.last = i;
      };
      const bool valid = tokenizers[thread].Run(text, [&](std::string_view token) {
        all_pending[thread].Add(tables[thread], token);
        if (!plan.sizes.empty()) all_pending[thread].Flush(count);
        return true;
      });
      all_pending[thread].Flush(count);
      return valid;
    });
    for (int64_t k = 1; k < threads; ++k)
      tables[k].ForAll([&](std::string_view token, const Counts& part) {
        Counts& counts = tables[0].Get(token);
        counts.total += part.total;
        counts.texts += part.texts;
      });
  }
  if (!valid) return NotMine();
  const Py_ssize_t size = tables[0].size();
  Reference tokens(PyList_New(size)), totals(PyList_New(size)), documents(PyList_New(size));
  Py_ssize_t i = 0;
  tables[0].ForAll([&](std::string_view token, const Counts& counts) {
    PyList_SET_ITEM(tokens.get(), i, Reference(PyBytes_FromStringAndSize(token.data(), token.size())).release());
    PyList_SET_ITEM(totals.get(), i, Reference(PyLong_FromLongLong(counts.total)).release());
    PyList_SET_ITEM(documents.get(), i, Reference(PyLong_FromLongLong(counts.texts)).release());
    ++i;
  });
  return Py_BuildValue("NNN", tokens.release(), totals.release(), documents.release());
}

// The hash that a layer uses: SipHash with two numbers as its key, else Fingerprint64.
struct Hash {
  bool keyed = false;
  unsigned long long first = 0, second = 0;

  bool Fill(PyObject* key) {
    keyed = key != Py_None;
    return !keyed || PyArg_ParseTuple(key, "KK", &first, &second);
  }
  uint64_t operator()(std::string_view text) const {
    return keyed ? SipHash(text, first, second) : Fingerprint(text);
  }
};

// The remainder of a division by a fixed number (Lemire, Kaser and Kurz, "Faster remainder by direct
// computation", 2019).
class Remainder {
 public:
  explicit Remainder(uint64_t divisor) : divisor_(divisor), factor_(~Wide(0) / divisor + 1) {}
  uint64_t operator()(uint64_t number) const {
    const Wide fraction = factor_ * number;
    const Wide low = Wide(uint64_t(fraction)) * divisor_ >> 64;
    return uint64_t((Wide(uint64_t(fraction >> 64)) * divisor_ + low) >> 64);
  }

 private:
  using Wide = unsigned __int128;
  uint64_t divisor_;
  Wide factor_;
};

// Where hashes go: all 64 bits of them, or `bins` and then `first` plus the remainder, int32.
struct Hashed {
  unsigned long long bins = 0;
  int first = 0;
  Memory out;

  // `count` is the number of hashes.
  bool Fill(PyObject* object, int64_t count) {
    if (!out.Fill(object, true)) return false;
    const int64_t size = bins ? sizeof(int32_t) : sizeof(uint64_t);
    return out.view.len == count * size || Wrong("hashes: sizes differ") != nullptr;
  }

  // Calls work(put) with a function put(i, hash).
  template <typename Work>
  bool Run(const Work& work) const {
    if (!bins) {
      uint64_t* to = out.data<uint64_t>();
      return work([to](int64_t i, uint64_t hash) { to[i] = hash; });
    }
    int32_t* to = out.data<int32_t>();
    return work([to, remainder = Remainder(bins), first = first](int64_t i, uint64_t hash) {
      to[i] = int32_t(remainder(hash)) + first;
    });
  }
};

// hashes(texts, key, bins, first, out): writes the hash of each text to `out`; see `Hashed`. Returns
// True.
PyObject* Hashes(PyObject* arguments) {
  PyObject *source, *key, *out_object;
  Hash hash;
  Hashed hashed;
  if (!PyArg_ParseTuple(arguments, "OOKiO", &source, &key, &hashed.bins, &hashed.first, &out_object) ||
      !hash.Fill(key))
    return nullptr;
  Texts texts;
  if (!texts.Fill(source, Surrogates::kRefuse, Reading::kOnce)) return NotMine();
  if (!hashed.Fill(out_object, texts.size())) return nullptr;
  bool valid;
  {
    WithoutLock without(texts.needs_lock());
    valid = hashed.Run([&](const auto& put) {
      return ForTexts(texts, ThreadsFor(texts.bytes()), [&](std::string_view text, int64_t i, int64_t) {
        put(i, hash(text));
        return true;
      });
    });
  }
  if (!valid) return NotMine();
  Py_RETURN_TRUE;
}

// are_texts(array): whether all items of a contiguous array of objects are `str` or `bytes`.
PyObject* AreTexts(PyObject* arguments) {
  PyObject* object;
  if (!PyArg_ParseTuple(arguments, "O!", &PyArray_Type, &object)) return nullptr;
  auto* array = reinterpret_cast<PyArrayObject*>(object);
  if (PyArray_TYPE(array) != NPY_OBJECT || !PyArray_IS_C_CONTIGUOUS(array))
    return Wrong("are_texts: the array must hold objects and be contiguous");
  return PyBool_FromLong(
      ForObjects(static_cast<PyObject**>(PyArray_DATA(array)), PyArray_SIZE(array),
                 [](PyObject* item, int64_t) { return PyUnicode_Check(item) || PyBytes_Check(item); }));
}

// strings(offsets, wide, text, out): writes the texts between offsets, 64 bits if `wide`, else 32, to
// an empty array `out` of StringDType. The text is UTF-8, as in Arrow's arrays.
PyObject* Strings(PyObject* arguments) {
  PyObject *offsets_object, *text_object, *out_object;
  int wide;
  if (!PyArg_ParseTuple(arguments, "OpOO!", &offsets_object, &wide, &text_object, &PyArray_Type, &out_object))
    return nullptr;
  Memory offsets, text;
  if (!offsets.Fill(offsets_object, false) || !text.Fill(text_object, false)) return nullptr;
  auto* array = reinterpret_cast<PyArrayObject*>(out_object);
  const int64_t count = offsets.view.len / (wide ? 8 : 4) - 1;
  if (PyArray_TYPE(array) != NPY_VSTRING || !PyArray_IS_C_CONTIGUOUS(array) || PyArray_SIZE(array) != count)
    return Wrong("strings: the arrays do not fit together");
  const auto at = [&](int64_t i) {
    return wide ? offsets.data<int64_t>()[i] : int64_t(offsets.data<int32_t>()[i]);
  };
  char* item = PyArray_BYTES(array);
  bool valid = true;
  npy_string_allocator* allocator =
      NpyString_acquire_allocator(reinterpret_cast<PyArray_StringDTypeObject*>(PyArray_DESCR(array)));
  for (int64_t i = 0; i < count && valid; ++i, item += PyArray_ITEMSIZE(array)) {
    const int64_t begin = at(i), end = at(i + 1);
    valid = begin >= 0 && begin <= end && end <= text.view.len &&
            NpyString_pack(allocator, reinterpret_cast<npy_packed_static_string*>(item), text.data<char>() + begin,
                           end - begin) == 0;
  }
  NpyString_release_allocator(allocator);
  if (!valid) return Wrong("strings: an offset is out of range");
  Py_RETURN_NONE;
}

// Writes a number in decimal to the end of `digits`; returns the text.
std::string_view Decimal(uint64_t size, bool negative, char (&digits)[80]) {
  char* const end = digits + sizeof(digits);
  char* at = end;
  do {
    *--at = char('0' + size % 10);
    size /= 10;
  } while (size);
  if (negative) *--at = '-';
  return {at, size_t(end - at)};
}

// integer_hashes(integers, signed, key, bins, first, out): the same for the decimal texts of 64-bit
// integers.
PyObject* IntegerHashes(PyObject* arguments) {
  PyObject *from_object, *key, *out_object;
  int is_signed;
  Hash hash;
  Hashed hashed;
  if (!PyArg_ParseTuple(arguments, "OpOKiO", &from_object, &is_signed, &key, &hashed.bins, &hashed.first,
                        &out_object) ||
      !hash.Fill(key))
    return nullptr;
  Memory from;
  if (!from.Fill(from_object, false)) return nullptr;
  if (from.view.len % 8) return Wrong("integer_hashes: sizes differ");
  if (!hashed.Fill(out_object, from.view.len / 8)) return nullptr;
  const uint64_t* numbers = from.data<uint64_t>();
  {
    WithoutLock without;
    hashed.Run([&](const auto& put) {
      ForRanges(from.view.len / 8, ThreadsFor(from.view.len), [&](int64_t first, int64_t last, int64_t) {
        char digits[80];  // 20 are used; GCC warns of fewer than 64
        for (int64_t i = first; i < last; ++i) {
          const uint64_t number = numbers[i];
          const bool negative = is_signed && number >> 63;
          put(i, hash(Decimal(negative ? -number : number, negative, digits)));
        }
      });
      return true;
    });
  }
  Py_RETURN_TRUE;
}

PyMethodDef functions[] = {
    {"table", Guarded<MakeTable>, METH_VARARGS, nullptr},
    {"find", Guarded<Find>, METH_VARARGS, nullptr},
    {"sequences", Guarded<MakeSequences>, METH_VARARGS, nullptr},
    {"count", Guarded<Count>, METH_VARARGS, nullptr},
    {"hashes", Guarded<Hashes>, METH_VARARGS, nullptr},
    {"are_texts", Guarded<AreTexts>, METH_VARARGS, nullptr},
    {"strings", Guarded<Strings>, METH_VARARGS, nullptr},
    {"integer_hashes", Guarded<IntegerHashes>, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {PyModuleDef_HEAD_INIT, "hornbeam_cpu.text", nullptr, 0, functions, nullptr, nullptr, nullptr,
                      nullptr};

}  // namespace
}  // namespace hornbeam

PyMODINIT_FUNC PyInit_text() {
  if (PyArray_ImportNumPyAPI() < 0) return nullptr;
  return PyModuleDef_Init(&hornbeam::module);
}
