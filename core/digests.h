// What the cases of `digests` are made of: whole numbers, and the digest of a result.
#pragma once

#include <cinttypes>
#include <cstdio>
#include <string>
#include <vector>

#include "isa/dispatch.h"

namespace tidegate {

// FNV-1a over the bytes of results; every machine of ours is little-endian.
class Digest {
 public:
  template <class T>
  Digest& add(const std::vector<T>& values) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
    for (std::size_t i = 0; i < values.size() * sizeof(T); ++i) state_ = (state_ ^ bytes[i]) * 0x100000001b3u;
    return *this;
  }

  void print(const std::string& name) const {
    std::printf("%s %s %016" PRIx64 "\n", active_isa().name, name.c_str(), state_);
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

// Numbers from -scale to scale (SplitMix64, Steele et al. 2014); each is a small whole number over a power of two.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  template <class T>
  std::vector<T> draw(Index count, double scale = 1) {
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& value : values) value = static_cast<T>(scale * (static_cast<double>(next() >> 41) * 0x1p-22 - 1));
    return values;
  }

 private:
  std::uint64_t state_;
};

inline const std::vector<Index> kOffsets = {0, 1, 1, 30, 37, 100, 103, 104, 111, 111, 140};
constexpr Index kN = 140, kB = 10;

struct Size {
  Index C, H;
};

template <class T>
std::string named(const char* what, const char* detail, Size size) {
  return std::string(what) + detail + (sizeof(T) == 4 ? "/f32/" : "/f64/") + std::to_string(size.C) + "x" +
         std::to_string(size.H);
}

// The cases of sounds, frames and labels, and of pairs.
void digest_labels();
void digest_pairs();
// Those of images.
void digest_grids();

}  // namespace tidegate
