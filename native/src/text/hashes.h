// FarmHash Fingerprint64 (Geoff Pike, Google, 2014) and SipHash-2-4 (Aumasson and Bernstein, 2012).
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace hornbeam {

inline uint64_t Word(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, 8);
  return word;
}

inline uint64_t HalfWord(const char* at) {
  uint32_t word;
  std::memcpy(&word, at, 4);
  return word;
}

// Rotates to the right.
inline uint64_t Rotate(uint64_t x, int by) { return x >> by | x << (64 - by); }

constexpr uint64_t kFarm0 = 0xC3A5C85C97CB3127, kFarm1 = 0xB492B66FBE98F273, kFarm2 = 0x9AE16A3B2F90404F;

inline uint64_t ShiftMix(uint64_t x) { return x ^ x >> 47; }

inline uint64_t FarmMix(uint64_t a, uint64_t b, uint64_t factor) {
  a = ShiftMix((a ^ b) * factor);
  return ShiftMix((b ^ a) * factor) * factor;
}

using FarmPair = std::pair<uint64_t, uint64_t>;

// Returns two numbers from 32 bytes and two numbers.
inline FarmPair FarmPairOf(const char* at, uint64_t a, uint64_t b) {
  const uint64_t fourth = Word(at + 24);
  a += Word(at);
  b = Rotate(b + a + fourth, 21);
  const uint64_t total = a + Word(at + 8) + Word(at + 16);
  return {total + fourth, b + Rotate(total, 44) + a};
}

inline uint64_t FarmOfLong(const char* text, uint64_t length) {
  uint64_t x = 81, y = x * kFarm1 + 113, z = ShiftMix(y * kFarm2 + 113) * kFarm2;
  FarmPair v = {0, 0}, w = {0, 0};
  x = x * kFarm2 + Word(text);
  const auto step = [&](const char* at, uint64_t factor, uint64_t times) {
    x = Rotate(x + y + v.first + Word(at + 8), 37) * factor;
    y = Rotate(y + v.second + Word(at + 48), 42) * factor;
    x ^= w.second * times;
    y += v.first * times + Word(at + 40);
    z = Rotate(z + w.first, 33) * factor;
    v = FarmPairOf(at, v.second * factor, x + w.first);
    w = FarmPairOf(at + 32, z + w.second, y + Word(at + 16));
    std::swap(x, z);
  };
  for (uint64_t start = 0; start < (length - 1) / 64 * 64; start += 64) step(text + start, kFarm1, 1);
  const uint64_t factor = kFarm1 + ((z & 0xFF) << 1);
  w.first += (length - 1) & 63;
  v.first += w.first;
  w.first += v.first;
  step(text + length - 64, factor, 9);
  return FarmMix(FarmMix(v.first, w.first, factor) + ShiftMix(y) * kFarm0 + z, FarmMix(v.second, w.second, factor) + x,
                 factor);
}

inline uint64_t Fingerprint(std::string_view text) {
  const char* at = text.data();
  const uint64_t length = text.size();
  const char* end = at + length;
  if (length > 64) return FarmOfLong(at, length);
  const uint64_t factor = kFarm2 + 2 * length;
  if (length > 32) {
    const uint64_t a = Word(at) * kFarm2, b = Word(at + 8), c = Word(end - 8) * factor, d = Word(end - 16) * kFarm2;
    const uint64_t y = Rotate(a + b, 43) + Rotate(c, 30) + d, z = FarmMix(y, a + Rotate(b + kFarm2, 18) + c, factor);
    const uint64_t e = Word(at + 16) * factor, f = Word(at + 24);
    const uint64_t g = (y + Word(end - 32)) * factor, h = (z + Word(end - 24)) * factor;
    return FarmMix(Rotate(e + f, 43) + Rotate(g, 30) + h, e + Rotate(f + a, 18) + g, factor);
  }
  if (length > 16) {
    const uint64_t a = Word(at) * kFarm1, b = Word(at + 8), c = Word(end - 8) * factor, d = Word(end - 16) * kFarm2;
    return FarmMix(Rotate(a + b, 43) + Rotate(c, 30) + d, a + Rotate(b + kFarm2, 18) + c, factor);
  }
  if (length >= 8) {
    const uint64_t a = Word(at) + kFarm2, b = Word(end - 8);
    return FarmMix(Rotate(b, 37) * factor + a, (Rotate(a, 25) + b) * factor, factor);
  }
  if (length >= 4) return FarmMix(length + (HalfWord(at) << 3), HalfWord(end - 4), factor);
  if (length) {
    const uint64_t first = uint8_t(at[0]), middle = uint8_t(at[length / 2]), last = uint8_t(at[length - 1]);
    return ShiftMix((first + (middle << 8)) * kFarm2 ^ (length + (last << 2)) * kFarm0) * kFarm2;
  }
  return kFarm2;
}

inline uint64_t SipHash(std::string_view text, uint64_t key0, uint64_t key1) {
  uint64_t a = key0 ^ 0x736F6D6570736575, b = key1 ^ 0x646F72616E646F6D, c = key0 ^ 0x6C7967656E657261,
           d = key1 ^ 0x7465646279746573;
  const auto rounds = [&](int count) {
    for (; count; --count) {
      a += b;
      b = Rotate(b, 51) ^ a;
      a = Rotate(a, 32);
      c += d;
      d = Rotate(d, 48) ^ c;
      a += d;
      d = Rotate(d, 43) ^ a;
      c += b;
      b = Rotate(b, 47) ^ c;
      c = Rotate(c, 32);
    }
  };
  const auto take = [&](uint64_t word) {
    d ^= word;
    rounds(2);
    a ^= word;
  };
  const size_t whole = text.size() / 8 * 8, left = text.size() - whole;
  for (size_t i = 0; i < whole; i += 8) take(Word(text.data() + i));
  uint64_t last = uint64_t(text.size() % 256) << 56;
  for (size_t i = 0; i < left; ++i) last |= uint64_t(uint8_t(text[whole + i])) << 8 * i;
  take(last);
  c ^= 0xFF;
  rounds(4);
  return a ^ b ^ c ^ d;
}

}  // namespace hornbeam
