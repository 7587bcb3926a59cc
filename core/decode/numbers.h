// exp and log in float64 by sums and products alone, within 2 ULP: those of the C library differ from machine to
// machine, and a beam that ranks by them would, too.
#pragma once

#include <cstdint>
#include <cstring>

namespace tidegate {

constexpr double kLn2 = 0.693147180559945309417;
constexpr double kLn2High = 0.693147180369123816490, kLn2Low = 1.90821492927058770002e-10;

// exp(x) for -700 <= x <= 700: Taylor's series around the nearest multiple of ln 2, to the 13th power.
inline double plain_exp(double x) {
  constexpr double kRounder = 6755399441055744.0;  // 1.5 * 2^52: added to a number, it rounds it to an integer
  const double n = (x * 1.44269504088896340736 + kRounder) - kRounder;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double q = 1.0 / 6227020800.0;
  for (const double factorial :
       {479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0}) {
    q = q * r + 1.0 / factorial;
  }
  const double rest = r + r * r * (0.5 + r * q);
  const std::uint64_t bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(n) + 1023) << 52;
  double scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  return scale + scale * rest;
}

// log(x) for a positive normal x: with x = 2^e * (1 + s) / (1 - s), it is e * ln 2 + 2 * (s + s^3 / 3 + s^5 / 5 ...).
inline double plain_log(double x) {
  constexpr std::uint64_t kFraction = (std::uint64_t(1) << 52) - 1;
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  std::int64_t exponent = static_cast<std::int64_t>(bits >> 52) - 1023;
  bits = (bits & kFraction) | (std::uint64_t(1023) << 52);
  double m;
  std::memcpy(&m, &bits, sizeof(m));
  if (m > 1.41421356237309504880) {
    m *= 0.5;
    ++exponent;
  }
  const double f = m - 1, s = f / (2 + f), z = s * s;
  double sum = 1.0 / 21;
  for (const double odd : {19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0}) sum = sum * z + 1.0 / odd;
  const double e = static_cast<double>(exponent), twice = 2 * s;
  return e * kLn2High + (twice + (twice * (z * sum) + e * kLn2Low));
}

}  // namespace tidegate
