// A hash table from texts to numbers.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace hornbeam {

// The key differs in each process, so nobody can prepare texts that all fall into one place.
struct TableKey {
  uint64_t first, second;
};

inline const TableKey& GetTableKey() {
  static const TableKey key = [] {
    std::random_device random;
    const auto draw = [&] { return uint64_t(random()) << 32 | random(); };
    return TableKey{draw() | 1, draw() | 1};
  }();
  return key;
}

inline uint64_t Fold(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return uint64_t(product) ^ uint64_t(product >> 64);
}

// What the table stores of a text: its bytes, if there are up to 16, with zeros after them. Of a longer
// one, a hash and the place of its copy.
struct Token {
  static constexpr size_t kShort = 16;
  uint64_t first = 0, second = 0;
  size_t size = 0;

  Token() = default;

  explicit Token(std::string_view text) : size(text.size()) {
    const char* at = text.data();
    const char* end = at + size;
    if (size > kShort) {
      first = GetTableKey().first ^ size;
      for (; end - at > 8; at += 8) first = Fold(first ^ Load<uint64_t>(at), GetTableKey().second);
      first = Fold(first ^ Load<uint64_t>(end - 8), GetTableKey().second);
    } else if (size >= 8) {
      first = Load<uint64_t>(at);
      second = Load<uint64_t>(end - 8) >> 4 * (16 - size) >> 4 * (16 - size);  // twice: 64 is too far
    } else if (size >= 4) {
      first = Load<uint32_t>(at) | uint64_t(Load<uint32_t>(end - 4)) >> 8 * (8 - size) << 32;
    } else if (size) {
      const auto byte = [&](size_t i) { return uint64_t(uint8_t(at[i])) << 8 * i; };
      first = byte(0) | byte(size / 2) | byte(size - 1);
    }
  }

  // Returns the token of a text with zeros after it, in up to 16 bytes. The processor need not guess
  // how long the text is.
  static Token Padded(const char* at, size_t bytes) {
    Token token{std::string_view(at, bytes)};
    const int zeros = __builtin_clzll((token.second ? token.second : token.first) | 1) / 8;
    token.size = token.second ? 16 - zeros : token.first ? 8 - zeros : 0;
    return token;
  }

  bool is_short() const { return size <= kShort; }

  uint64_t Hash(const TableKey& key) const {
    return Fold(first ^ key.first, (is_short() ? second ^ size << 40 : 0) ^ key.second);
  }

  // Returns a short text, in `memory`.
  std::string_view Text(char (&memory)[kShort]) const {
    std::memcpy(memory, &first, 8);
    std::memcpy(memory + 8, &second, 8);
    return {memory, size};
  }

 private:
  template <typename T>
  static T Load(const char* at) {
    T word;
    std::memcpy(&word, at, sizeof(T));
    return word;
  }
};

// `Value` is what the table keeps for each text. The texts are copied.
template <typename Value>
class Table {
 public:
  explicit Table(size_t expected = 0) {
    size_t places = 64;
    while (places < expected * 2) places *= 2;
    places_.resize(places);
  }

  size_t size() const { return size_; }

  const Value* Find(std::string_view text) const {
    const Token token(text);
    return Find(text, token, token.Hash(key_));
  }

  // The same in three steps, so that the memory of several texts is on its way at once.
  uint64_t Hash(const Token& token) const { return token.Hash(key_); }
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&places_[hash & (places_.size() - 1)]); }
  const Value* Find(std::string_view text, const Token& token, uint64_t hash) const {
    const Slot& slot = places_[Place(text, token, hash)];
    return slot.used ? &slot.value : nullptr;
  }

  // Returns the value of a text, a new one if the table lacks the text.
  Value& Get(std::string_view text) {
    const Token token(text);
    return Get(text, token, token.Hash(key_));
  }

  Value& Get(std::string_view text, Token token, uint64_t hash) {
    uint64_t place = Place(text, token, hash);
    if (!places_[place].used) {
      if ((size_ + 1) * 2 > places_.size()) {
        Grow();
        place = Place(text, token, hash);
      }
      if (!token.is_short()) {
        token.second = bytes_.size();
        bytes_.append(text);
      }
      places_[place] = {token, Value{}, true};
      ++size_;
    }
    return places_[place].value;
  }

  // Calls work(text, value) for each text. The order depends on the process.
  template <typename Work>
  void ForAll(const Work& work) const {
    char memory[Token::kShort];
    for (const Slot& slot : places_)
      if (slot.used) work(slot.token.is_short() ? slot.token.Text(memory) : Long(slot.token), slot.value);
  }

 private:
  struct Slot {
    Token token;
    Value value{};
    bool used = false;
  };

  std::string_view Long(const Token& token) const { return {bytes_.data() + token.second, token.size}; }

  // Returns the place of a text, or the free place where it belongs.
  uint64_t Place(std::string_view text, const Token& token, uint64_t hash) const {
    const uint64_t mask = places_.size() - 1;
    for (uint64_t place = hash & mask;; place = (place + 1) & mask) {
      const Slot& slot = places_[place];
      if (!slot.used) return place;
      if (slot.token.first != token.first || slot.token.size != token.size) continue;
      if (token.is_short() ? slot.token.second == token.second : Long(slot.token) == text) return place;
    }
  }

  void Grow() {
    std::vector<Slot> places(places_.size() * 2);
    const uint64_t mask = places.size() - 1;
    for (const Slot& slot : places_) {
      if (!slot.used) continue;
      uint64_t place = slot.token.Hash(key_) & mask;
      while (places[place].used) place = (place + 1) & mask;
      places[place] = slot;
    }
    places_.swap(places);
  }

  TableKey key_ = GetTableKey();
  std::vector<Slot> places_;
  size_t size_ = 0;
  std::string bytes_;  // of the long texts
};

}  // namespace hornbeam
