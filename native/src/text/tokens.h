// From a text to its tokens.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "texts.h"

namespace hornbeam {

inline bool IsSpace(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

inline bool IsPunctuation(uint8_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

enum class Split { kNone, kWhitespace, kCharacter };

// How to make tokens. `sizes` are the numbers of tokens that are joined; empty: each is alone.
struct Plan {
  bool lower, strip;
  Split split;
  std::vector<int64_t> sizes;
};

// Makes tokens. Each thread needs one.
class Tokenizer {
 public:
  explicit Tokenizer(const Plan& plan) : plan_(plan) {
    for (int c = 0; c < 256; ++c) {
      to_[c] = char(plan.lower && c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
      kept_[c] = !(plan.strip && IsPunctuation(c));
      space_[c] = IsSpace(c);
    }
  }

  // Calls emit(token) until that returns false. Returns false if characters are asked for and the
  // text is no valid UTF-8.
  template <typename Emit>
  bool Run(std::string_view text, const Emit& emit) {
    if (plan_.lower || plan_.strip) text = Standardized(text);
    if (plan_.sizes.empty()) return SplitText(text, emit);
    tokens_.clear();
    const bool valid = SplitText(text, [&](std::string_view token) {
      tokens_.push_back(token);
      return true;
    });
    for (int64_t size : plan_.sizes)
      for (int64_t i = 0; size <= int64_t(tokens_.size()) && i + size <= int64_t(tokens_.size()); ++i)
        if (!emit(Joined(i, size))) return valid;
    return valid;
  }

 private:
  std::string_view Standardized(std::string_view text) {
    if (row_.size() < text.size()) row_.resize(text.size());
    char* at = row_.data();
    for (char c : text) {
      *at = to_[uint8_t(c)];
      at += kept_[uint8_t(c)];
    }
    return {row_.data(), size_t(at - row_.data())};
  }

  template <typename Emit>
  bool SplitText(std::string_view text, const Emit& emit) const {
    if (plan_.split == Split::kNone) {
      emit(text);
      return true;
    }
    const size_t size = text.size();
    for (size_t i = 0; i < size;) {
      const size_t begin = i;
      if (plan_.split == Split::kCharacter) {
        const size_t width = CharacterSize(text.substr(i));
        if (width == 0) return false;
        i += width;
      } else {
        while (i < size && !space_[uint8_t(text[i])]) ++i;
        if (i == begin) {
          ++i;
          continue;
        }
      }
      if (!emit(text.substr(begin, i - begin))) return true;
    }
    return true;
  }

  std::string_view Joined(int64_t first, int64_t size) {
    if (size == 1) return tokens_[first];
    joined_.assign(tokens_[first]);
    for (int64_t i = first + 1; i < first + size; ++i) {
      joined_ += ' ';
      joined_.append(tokens_[i]);
    }
    return joined_;
  }

  const Plan& plan_;
  std::array<char, 256> to_;
  std::array<bool, 256> kept_, space_;
  std::string row_, joined_;
  std::vector<std::string_view> tokens_;
};

}  // namespace hornbeam
