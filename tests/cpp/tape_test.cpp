// tests/cpp/tape_test.cpp: the tape engine: every row of the elementwise table over every dtype
// against higher precision, layouts, casts, reductions, and the same bits whatever the cut.
#include "core/tape.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string>

#include "backend/cpu/parallel.h"
#include "mlx/mlx.h"

namespace {

using namespace mlx::core;
using Wide = long double;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <class T>
Dtype dtype_for() {
  if (std::is_same_v<T, double>) return float64;  // the front door reads double as float32
  return TypeToDtype<T>();
}

struct Row {
  EwOp op;
  const EwInfo& what;
};

std::vector<Row> rows() {
  std::vector<Row> all;
  for (int i = 0; i < static_cast<int>(EwOp::Cast); ++i) {
    all.push_back({static_cast<EwOp>(i), info(static_cast<EwOp>(i))});
  }
  return all;
}

/** One instruction over contiguous vectors. */
template <class R, class T>
std::vector<R> run_op(EwOp op, Dtype in, Dtype out, const std::vector<T>& x,
                      const std::vector<T>& y) {
  std::vector<R> result(x.size());
  Tape tape;
  TapeInstr instr{op, in.val(), out.val(), {0, 0, 0}};
  std::vector<TapeOperand> operands;
  for (int k = 0; k < info(op).arity; ++k) {
    tape.inputs.push_back(in.val());
    instr.args[k] = static_cast<uint16_t>(k);
    operands.push_back({const_cast<T*>(k == 0 ? x.data() : y.data()), Strides{1}});
  }
  tape.instrs = {instr};
  tape.outputs = {static_cast<uint16_t>(tape.inputs.size())};
  operands.push_back({result.data(), Strides{1}});
  tape_runner(Device::cpu)(tape, Shape{static_cast<int>(x.size())}, operands);
  return result;
}

// ---- references ----

using Unary = std::function<Wide(Wide)>;
using Binary = std::function<Wide(Wide, Wide)>;

const std::map<std::string, Unary>& unary_references() {
  static const std::map<std::string, Unary> refs = {
      {"abs", [](Wide x) { return std::fabs(x); }},
      {"arccos", [](Wide x) { return std::acos(x); }},
      {"arccosh", [](Wide x) { return std::acosh(x); }},
      {"arcsin", [](Wide x) { return std::asin(x); }},
      {"arcsinh", [](Wide x) { return std::asinh(x); }},
      {"arctan", [](Wide x) { return std::atan(x); }},
      {"arctanh", [](Wide x) { return std::atanh(x); }},
      {"ceil", [](Wide x) { return std::ceil(x); }},
      {"conjugate", [](Wide x) { return x; }},
      {"cos", [](Wide x) { return std::cos(x); }},
      {"cosh", [](Wide x) { return std::cosh(x); }},
      {"degrees", [](Wide x) { return x * 57.295779513082320876798154814105L; }},
      {"erf", [](Wide x) { return std::erf(x); }},
      {"exp", [](Wide x) { return std::exp(x); }},
      {"expm1", [](Wide x) { return std::expm1(x); }},
      {"floor", [](Wide x) { return std::floor(x); }},
      {"imag", [](Wide) { return Wide(0); }},
      {"log", [](Wide x) { return std::log(x); }},
      {"log10", [](Wide x) { return std::log10(x); }},
      {"log1p", [](Wide x) { return std::log1p(x); }},
      {"log2", [](Wide x) { return std::log2(x); }},
      {"negative", [](Wide x) { return -x; }},
      {"radians", [](Wide x) { return x * 0.017453292519943295769236907684886L; }},
      {"real", [](Wide x) { return x; }},
      {"reciprocal", [](Wide x) { return 1 / x; }},
      {"rint", [](Wide x) { return std::rint(x); }},
      {"rsqrt", [](Wide x) { return 1 / std::sqrt(x); }},
      {"sigmoid", [](Wide x) { return 1 / (1 + std::exp(-x)); }},
      {"sign", [](Wide x) { return Wide((x > 0) - (x < 0)); }},
      {"sin", [](Wide x) { return std::sin(x); }},
      {"sinh", [](Wide x) { return std::sinh(x); }},
      {"sqrt", [](Wide x) { return std::sqrt(x); }},
      {"square", [](Wide x) { return x * x; }},
      {"tan", [](Wide x) { return std::tan(x); }},
      {"tanh", [](Wide x) { return std::tanh(x); }},
      {"trunc", [](Wide x) { return std::trunc(x); }},
  };
  return refs;
}

Wide remainder_reference(Wide x, Wide y) {
  Wide r = std::fmod(x, y);
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}
Wide logaddexp_reference(Wide x, Wide y) {
  if (x != x || y != y) return x + y;
  Wide hi = std::max(x, y), lo = std::min(x, y);
  return std::isinf(hi) ? hi : hi + std::log1p(std::exp(lo - hi));
}

const std::map<std::string, Binary>& binary_references() {
  static const std::map<std::string, Binary> refs = {
      {"add", [](Wide x, Wide y) { return x + y; }},
      {"arctan2", [](Wide x, Wide y) { return std::atan2(x, y); }},
      {"divide", [](Wide x, Wide y) { return x / y; }},
      {"logaddexp", &logaddexp_reference},
      {"maximum", [](Wide x, Wide y) { return x != x   ? x
                                              : y != y ? y
                                                       : std::max(x, y); }},
      {"minimum", [](Wide x, Wide y) { return x != x   ? x
                                              : y != y ? y
                                                       : std::min(x, y); }},
      {"multiply", [](Wide x, Wide y) { return x * y; }},
      {"power", [](Wide x, Wide y) { return std::pow(x, y); }},
      {"remainder", &remainder_reference},
      {"subtract", [](Wide x, Wide y) { return x - y; }},
  };
  return refs;
}

const std::map<std::string, std::function<bool(Wide, Wide)>>& test_references() {
  static const std::map<std::string, std::function<bool(Wide, Wide)>> refs = {
      {"isfinite", [](Wide x, Wide) { return std::isfinite(x); }},
      {"isinf", [](Wide x, Wide) { return std::isinf(x); }},
      {"isnan", [](Wide x, Wide) { return std::isnan(x); }},
      {"isneginf", [](Wide x, Wide) { return x == -kInf; }},
      {"isposinf", [](Wide x, Wide) { return x == kInf; }},
      {"equal", [](Wide x, Wide y) { return x == y; }},
      {"not_equal", [](Wide x, Wide y) { return x != y; }},
      {"nan_equal", [](Wide x, Wide y) { return x == y || (x != x && y != y); }},
      {"greater", [](Wide x, Wide y) { return x > y; }},
      {"greater_equal", [](Wide x, Wide y) { return x >= y; }},
      {"less", [](Wide x, Wide y) { return x < y; }},
      {"less_equal", [](Wide x, Wide y) { return x <= y; }},
  };
  return refs;
}

template <class T>
struct Format;
template <>
struct Format<float> {
  static constexpr int digits = 24, min_exponent = -125;
  static constexpr Wide max = 0x1.fffffep127L;
};
template <>
struct Format<double> {
  static constexpr int digits = 53, min_exponent = -1021;
  static constexpr Wide max = std::numeric_limits<double>::max();
};
template <>
struct Format<float16_t> {
  static constexpr int digits = 11, min_exponent = -13;
  static constexpr Wide max = 65504;
};
template <>
struct Format<bfloat16_t> {
  static constexpr int digits = 8, min_exponent = -125;
  static constexpr Wide max = 0x1.fep127L;
};

/** Distance of got from the true value in units in the last place of T. */
template <class T>
double ulps(T got_value, Wide want) {
  Wide got = static_cast<Wide>(static_cast<double>(got_value));
  if (std::isnan(want)) return std::isnan(got) ? 0 : kInf;
  if (std::isnan(got)) return kInf;
  int e = 0;
  if (!std::isinf(want)) std::frexp(want, &e);
  Wide unit = std::ldexp(
      Wide(1), std::max(want == 0 ? Format<T>::min_exponent : e, Format<T>::min_exponent) -
                   Format<T>::digits);
  if (std::isinf(got) || std::isinf(want)) {
    if (got == want) return 0;
    // Beyond the greatest number infinity is as near as it gets.
    Wide edge = Format<T>::max + std::ldexp(Format<T>::max, -Format<T>::digits);
    bool same_sign = (got > 0) == (want > 0);
    if (std::isinf(got)) return same_sign && std::fabs(want) >= edge ? 0 : kInf;
    return kInf;
  }
  return static_cast<double>(std::fabs(got - want) / unit);
}

/** Special values, and many between. */
template <class T>
std::vector<T> samples() {
  std::vector<double> v = {0.0,   -0.0,  1.0,   -1.0,    0.5,    -0.5,     2.0,     -2.0,  3.0,
                           -3.0,  1.5,   2.5,   -2.5,    kInf,   -kInf,    kNan,    1e-8,  -1e-8,
                           1e-40, 1e-45, 88.5,  88.7,    88.8,   -87.4,    -103.9,  -104., 709.5,
                           -745., 1e4,   1e5,   -3.4e38, 3.4e38, 0.9999,   -0.9999, 1e30,  -1e30,
                           100.,  -100., 1e-30, 65504,   7.9,    16777216, 0.125,   -7.9};
  std::mt19937 random(7);
  std::uniform_real_distribution<double> narrow(-1, 1), wide(-20, 20), exponent(-30, 30);
  for (int i = 0; i < 1200; ++i) {
    v.push_back(narrow(random));
    v.push_back(wide(random));
    v.push_back(std::copysign(std::exp2(exponent(random)), narrow(random)));
  }
  std::vector<T> out;
  for (double x : v) out.push_back(static_cast<T>(static_cast<float>(x)));
  if constexpr (std::is_same_v<T, double>) {
    for (size_t i = 0; i < v.size(); ++i) out[i] = v[i];
  }
  return out;
}

template <class T>
double limit(const EwInfo& what) {
  if (std::is_same_v<T, double>) return 8;
  // Half floats: the error of float32 and one rounding.
  return std::is_same_v<T, float> ? std::max<double>(what.ulp, 0.5) + 0.01 : 0.51;
}

template <class T>
void check_floats() {
  std::vector<T> x = samples<T>(), y(x.size());
  // Neighbours in y are far apart in x; every special value meets every other one.
  for (size_t i = 0; i < y.size(); ++i) y[i] = x[(i * 45 + i / 45 * 7) % x.size()];
  for (size_t i = 0; i < 44; ++i) {
    for (size_t j = 0; j < 44; ++j) x.push_back(x[i]), y.push_back(x[j]);
  }
  Dtype t = dtype_for<T>();
  for (const Row& row : rows()) {
    std::string name = row.what.function;
    auto wide = [](T v) { return static_cast<Wide>(static_cast<double>(v)); };
    if (auto it = test_references().find(name); it != test_references().end()) {
      std::vector<uint8_t> got = run_op<uint8_t>(row.op, t, bool_, x, y);
      for (size_t i = 0; i < x.size(); ++i) {
        ASSERT_EQ(got[i] != 0, it->second(wide(x[i]), wide(y[i])))
            << name << " of " << double(x[i]) << ", " << double(y[i]);
      }
      continue;
    }
    auto one = unary_references().find(name);
    auto two = binary_references().find(name);
    bool is_one = one != unary_references().end();
    if (!is_one && two == binary_references().end()) continue;
    std::vector<T> got = run_op<T>(row.op, t, t, x, y);
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      Wide want = is_one ? one->second(wide(x[i])) : two->second(wide(x[i]), wide(y[i]));
      double error = ulps(got[i], want);
      // Digits cancel near zero: there the error is absolute.
      if (name == "logaddexp" &&
          std::fabs(double(got[i]) - double(want)) <= 4 * std::numeric_limits<float>::epsilon()) {
        error = 0;
      }
      if (error > worst) worst = error, at = i;
    }
    EXPECT_LE(worst, limit<T>(row.what)) << name << " of " << double(x[at]) << ", " << double(y[at])
                                         << " in " << dtype_to_string(t) << ": " << double(got[at]);
    // The bits of an element do not depend on its neighbours or on the length.
    for (size_t i = 0; i < x.size(); i += 5) {
      T alone = run_op<T>(row.op, t, t, std::vector<T>{x[i]}, std::vector<T>{y[i]})[0];
      ASSERT_TRUE(std::memcmp(&alone, &got[i], sizeof(T)) == 0 || std::isnan(double(alone)))
          << name << " of " << double(x[i]) << ", " << double(y[i]) << " alone: " << double(alone)
          << ", among others: " << double(got[i]);
    }
  }
}

TEST(Tape, Float32) { check_floats<float>(); }
TEST(Tape, Float64) { check_floats<double>(); }
TEST(Tape, Float16) { check_floats<float16_t>(); }
TEST(Tape, BFloat16) { check_floats<bfloat16_t>(); }

TEST(Tape, ErfInvIsTheInverse) {
  for (double x = -0.9999; x < 1; x += 0.0137) {
    std::vector<double> v{x};
    double y = run_op<double>(EwOp::ErfInv, float64, float64, v, v)[0];
    EXPECT_NEAR(std::erf(y), x, 1e-14);
    std::vector<float> f{static_cast<float>(x)};
    float z = run_op<float>(EwOp::ErfInv, float32, float32, f, f)[0];
    EXPECT_NEAR(std::erf(double(z)), f[0], 3e-7);
  }
}

TEST(Tape, ErfInvInDoubleKeepsItsDigits) {
  // One Newton step from the result, in more digits, moves it by units in its last place.
  auto check = [](double x, Wide rest) {
    std::vector<double> v{x};
    double y = run_op<double>(EwOp::ErfInv, float64, float64, v, v)[0];
    Wide off = x < 0.5 ? std::erf(Wide(y)) - Wide(x) : rest - std::erfc(Wide(y));
    Wide step = off * 0.88622692545275801364908L * std::exp(Wide(y) * y);
    EXPECT_LE(ulps(y, y - step), 8) << x;
  };
  for (double x = 1e-300; x < 0.5; x *= 7.3) check(x, 1 - Wide(x));
  for (double rest = 0.5; rest > 2e-16; rest *= 0.83) check(1 - rest, 1 - Wide(1 - rest));
  std::vector<double> edges{1, -1, 0, 1.5, kNan};
  auto y = run_op<double>(EwOp::ErfInv, float64, float64, edges, edges);
  EXPECT_EQ(y[0], kInf);
  EXPECT_EQ(y[1], -kInf);
  EXPECT_EQ(y[2], 0);
  EXPECT_TRUE(std::isnan(y[3]) && std::isnan(y[4]));
}

TEST(Tape, PowerInDoubleIsNearlyRounded) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> exponent(-700, 700), near(0.99, 1.01), far(-1000, 1000);
  std::vector<double> x, y;
  for (int i = 0; i < 3000; ++i) {
    x.push_back(std::exp2(exponent(random))), y.push_back(far(random) / 1000);
    x.push_back(near(random)), y.push_back(far(random) * 50);
    x.push_back(-std::exp2(exponent(random) / 100)), y.push_back(std::rint(far(random) / 10));
    x.push_back(4e-320 * i), y.push_back(far(random) / 300);
  }
  auto got = run_op<double>(EwOp::Power, float64, float64, x, y);
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_LE(ulps(got[i], std::pow(Wide(x[i]), Wide(y[i]))), 1.01) << x[i] << ", " << y[i];
  }
}

TEST(Tape, ExpIsFiniteUpToOverflow) {
  EXPECT_TRUE(std::isfinite(exp(array(88.5f)).item<float>()));
  EXPECT_TRUE(std::isfinite(exp(array(88.72f)).item<float>()));
  EXPECT_TRUE(std::isinf(exp(array(88.73f)).item<float>()));
}

// ---- integers ----

using Big = __int128;

Big floor_div(Big x, Big y) {
  if (y == 0) return 0;
  Big q = x / y;
  return q - (x % y != 0 && (x < 0) != (y < 0));
}
template <class T>
T power_reference(T x, T y) {
  if (std::is_signed_v<T> && y < 0) return 0;
  uint64_t r = 1, b = static_cast<uint64_t>(x);
  for (uint64_t e = static_cast<uint64_t>(y); e; e >>= 1, b *= b) {
    if (e & 1) r *= b;
  }
  return static_cast<T>(r);
}

template <class T>
void check_integers() {
  using L = std::numeric_limits<T>;
  constexpr int kBits = 8 * sizeof(T);
  std::vector<T> few = {0,
                        1,
                        2,
                        3,
                        5,
                        7,
                        L::max(),
                        L::min(),
                        T(L::max() - 1),
                        T(L::min() + 1),
                        T(-1),
                        T(-2),
                        T(-3),
                        T(100),
                        T(-100),
                        T(kBits),
                        T(kBits - 1)};
  std::vector<T> x, y;
  for (T a : few) {
    for (T b : few) x.push_back(a), y.push_back(b);
  }
  Dtype t = dtype_for<T>();
  const std::map<EwOp, std::function<T(T, T)>> refs = {
      {EwOp::Abs, [](T a, T) { return T(Big(a) < 0 ? -Big(a) : Big(a)); }},
      {EwOp::BitwiseInvert, [](T a, T) { return T(~a); }},
      {EwOp::Ceil, [](T a, T) { return a; }},
      {EwOp::Negative, [](T a, T) { return T(-Big(a)); }},
      {EwOp::Sign, [](T a, T) { return T((a > 0) - (a < 0)); }},
      {EwOp::Square, [](T a, T) { return T(uint64_t(a) * uint64_t(a)); }},
      {EwOp::Add, [](T a, T b) { return T(Big(a) + Big(b)); }},
      {EwOp::Subtract, [](T a, T b) { return T(Big(a) - Big(b)); }},
      {EwOp::Multiply, [](T a, T b) { return T(uint64_t(a) * uint64_t(b)); }},
      {EwOp::FloorDivide, [](T a, T b) { return T(floor_div(a, b)); }},
      {EwOp::Remainder, [](T a, T b) { return b == 0 ? a : T(a - floor_div(a, b) * b); }},
      {EwOp::Power, [](T a, T b) { return power_reference(a, b); }},
      {EwOp::Maximum, [](T a, T b) { return a > b ? a : b; }},
      {EwOp::Minimum, [](T a, T b) { return a < b ? a : b; }},
      {EwOp::BitwiseAnd, [](T a, T b) { return T(a & b); }},
      {EwOp::BitwiseOr, [](T a, T b) { return T(a | b); }},
      {EwOp::BitwiseXor, [](T a, T b) { return T(a ^ b); }},
      {EwOp::LeftShift, [](T a, T b) { return T(uint64_t(a) << (uint64_t(b) & (kBits - 1))); }},
      {EwOp::RightShift, [](T a, T b) { return T(a >> (uint64_t(b) & (kBits - 1))); }},
  };
  for (const auto& [op, ref] : refs) {
    std::vector<T> got = run_op<T>(op, t, t, x, y);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(got[i], ref(x[i], y[i]))
          << info(op).function << " of " << +x[i] << ", " << +y[i] << " in " << dtype_to_string(t);
    }
  }
  for (const Row& row : rows()) {
    auto it = test_references().find(row.what.function);
    if (it == test_references().end()) continue;
    std::vector<uint8_t> got = run_op<uint8_t>(row.op, t, bool_, x, y);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(got[i] != 0, it->second(x[i], y[i]))
          << it->first << " of " << +x[i] << ", " << +y[i];
    }
  }
}

TEST(Tape, Integers) {
  check_integers<int8_t>();
  check_integers<int16_t>();
  check_integers<int32_t>();
  check_integers<int64_t>();
  check_integers<uint8_t>();
  check_integers<uint16_t>();
  check_integers<uint32_t>();
  check_integers<uint64_t>();
}

TEST(Tape, Complex) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<complex64_t> x, y;
  for (int i = 0; i < 300; ++i) {
    x.emplace_back(normal(random), normal(random));
    y.emplace_back(normal(random), normal(random));
  }
  using C = std::complex<double>;
  const std::map<EwOp, std::function<C(C, C)>> refs = {
      {EwOp::ArcCos, [](C a, C) { return std::acos(a); }},
      {EwOp::ArcSinh, [](C a, C) { return std::asinh(a); }},
      {EwOp::ArcTanh, [](C a, C) { return std::atanh(a); }},
      {EwOp::Conjugate, [](C a, C) { return std::conj(a); }},
      {EwOp::Cos, [](C a, C) { return std::cos(a); }},
      {EwOp::Exp, [](C a, C) { return std::exp(a); }},
      {EwOp::Log, [](C a, C) { return std::log(a); }},
      {EwOp::Log1p, [](C a, C) { return std::log(a + 1.0); }},
      {EwOp::Rsqrt, [](C a, C) { return 1.0 / std::sqrt(a); }},
      {EwOp::Sign, [](C a, C) { return a / std::abs(a); }},
      {EwOp::Square, [](C a, C) { return a * a; }},
      {EwOp::Tanh, [](C a, C) { return std::tanh(a); }},
      {EwOp::Add, [](C a, C b) { return a + b; }},
      {EwOp::Subtract, [](C a, C b) { return a - b; }},
      {EwOp::Multiply, [](C a, C b) { return a * b; }},
      {EwOp::Divide, [](C a, C b) { return a / b; }},
      {EwOp::Power, [](C a, C b) { return std::pow(a, b); }},
      {EwOp::LogAddExp, [](C a, C b) { return std::log(std::exp(a) + std::exp(b)); }},
  };
  for (const auto& [op, ref] : refs) {
    auto got = run_op<complex64_t>(op, complex64, complex64, x, y);
    for (size_t i = 0; i < x.size(); ++i) {
      C want = ref(C(x[i].real(), x[i].imag()), C(y[i].real(), y[i].imag()));
      C have(got[i].real(), got[i].imag());
      // Logarithms of sums are compared without their turns around zero.
      if (op == EwOp::LogAddExp) want = std::exp(want), have = std::exp(have);
      EXPECT_LE(std::abs(have - want), 5e-6 * (1 + std::abs(want)))
          << info(op).function << " of " << x[i].real() << "+" << x[i].imag() << "i";
    }
  }
}

// ---- layouts ----

template <class T>
std::vector<T> values(const array& x) {
  array a = contiguous(x);
  a.eval();
  return {a.data<T>(), a.data<T>() + a.size()};
}

array numbered(const Shape& shape, Dtype t) {
  int n = 1;
  for (int d : shape) n *= d;
  return astype(reshape(arange(0, n, 1), shape), t);
}

TEST(Tape, StridesAndBroadcasts) {
  for (Dtype t : {float32, float64, bfloat16, int8, uint8, int16, int64, complex64}) {
    array a = numbered({5, 7, 6}, t), b = numbered({7, 1}, t);
    array views[] = {a,
                     transpose(a, {0, 2, 1}),
                     transpose(a, {2, 1, 0}),
                     flip(a, std::vector<int>{0, 2}),
                     slice(a, {0, 1, 0}, {5, 7, 6}, {2, 3, 1}),
                     slice(a, {0, 6, 5}, {5, -8, -7}, {1, -2, -3}),
                     broadcast_to(b, {5, 7, 6}),
                     slice(a, {0, 0, 0}, {5, 0, 6}),
                     numbered({600, 3}, t),
                     transpose(numbered({70, 65}, t), {1, 0}),
                     array(3, t)};
    for (const array& v : views) {
      auto x = values<uint8_t>(view(flatten(contiguous(v)), uint8));
      array copy = contiguous(v);
      copy.eval();
      // The same sum from a contiguous copy and from the view, with a scalar and with itself.
      array one = array(1, t);
      EXPECT_TRUE(array_equal(add(v, one), add(copy, one)).item<bool>()) << v.shape().size();
      EXPECT_TRUE(array_equal(multiply(v, v), multiply(copy, copy)).item<bool>());
      if (v.ndim() > 0) {
        array spread = broadcast_to(sum(v, 0, true), v.shape());
        EXPECT_TRUE(array_equal(subtract(v, spread), subtract(copy, spread)).item<bool>());
      }
      EXPECT_EQ(x.size(), v.size() * t.size());
    }
  }
  auto r = values<int>(transpose(reshape(arange(0, 6, 1), {2, 3}), {1, 0}));
  EXPECT_EQ(r, (std::vector<int>{0, 3, 1, 4, 2, 5}));
}

TEST(Tape, LargeOperandsThatLieAcross) {
  for (Dtype t : {float32, bfloat16, int8, complex64}) {
    array a = remainder(numbered({40, 33, 50}, float32), array(101.0f));
    a = astype(a, t);
    for (const std::vector<int>& order : {std::vector<int>{0, 2, 1}, {2, 1, 0}, {1, 2, 0}}) {
      array across = transpose(a, order);
      array straight = contiguous(across);
      straight.eval();
      array other = add(straight, array(1, t));
      other.eval();
      EXPECT_TRUE(array_equal(add(across, other), add(straight, other)).item<bool>());
      EXPECT_TRUE(array_equal(multiply(other, across), multiply(other, straight)).item<bool>());
      EXPECT_TRUE(
          array_equal(sum(add(across, other), 1), sum(add(straight, other), 1)).item<bool>());
      EXPECT_TRUE(array_equal(negative(across), negative(straight)).item<bool>());
      array row = slice(other, {0, 0, 0}, {1, other.shape(1), other.shape(2)});
      EXPECT_TRUE(array_equal(add(across, row), add(straight, row)).item<bool>());
    }
  }
}

TEST(Tape, Casts) {
  const std::vector<double> plain = {0, 1, 2, 3, 7, 100, 120, 127};
  const Dtype all[] = {bool_, uint8, uint16,  uint32,   uint64,  int8,    int16,
                       int32, int64, float16, bfloat16, float32, float64, complex64};
  array x(plain.begin(), Shape{8}, float64);
  for (Dtype from : all) {
    for (Dtype to : all) {
      array y = astype(astype(astype(x, from), to), float64);
      array want =
          from == bool_ || to == bool_ ? astype(not_equal(x, array(0.0, float64)), float64) : x;
      EXPECT_TRUE(array_equal(y, want).item<bool>())
          << dtype_to_string(from) << " to " << dtype_to_string(to) << ": " << y;
    }
  }
  // Rounds to nearest even; NaN and infinities stay.
  EXPECT_EQ(astype(astype(array(1.00390625f), bfloat16), float32).item<float>(), 1.0f);
  EXPECT_EQ(astype(astype(array(1.01171875f), bfloat16), float32).item<float>(), 1.015625f);
  EXPECT_EQ(astype(astype(array(65519.0f), float16), float32).item<float>(), 65504.0f);
  EXPECT_TRUE(std::isinf(astype(astype(array(65520.0f), float16), float32).item<float>()));
  for (Dtype half : {float16, bfloat16}) {
    EXPECT_TRUE(std::isnan(astype(astype(array(float(kNan)), half), float32).item<float>()));
  }
  // Floats truncate, out of range too nothing traps.
  std::vector<float> floats{-1.9f, 1.9f, 200.7f, static_cast<float>(kNan), 1e20f, -1e20f};
  array f(floats.begin(), Shape{6}, float32);
  std::vector<int> whole = values<int>(astype(f, int32));
  whole.resize(3);
  EXPECT_EQ(whole, (std::vector<int>{-1, 1, 200}));
  for (Dtype to : {int8, uint8, int16, uint16, int32, uint32, int64, uint64}) {
    EXPECT_EQ(values<double>(astype(astype(f, to), float64)).size(), 6u);
  }
}

TEST(Tape, SelectTakesWholeItems) {
  array c = array({true, false, true});
  for (Dtype t : {bool_, int8, float16, float32, int64, complex64}) {
    array r = where(c, numbered({3}, t), zeros({3}, t));
    EXPECT_TRUE(array_equal(r, multiply(numbered({3}, t), astype(c, t))).item<bool>());
  }
}

// ---- reductions ----

struct Reduced {
  std::vector<Wide> sum, least, most, product, size;
};

/** By the book: every element to its place. */
Reduced reference(const std::vector<double>& x, const Shape& shape, const std::vector<int>& axes) {
  std::vector<int64_t> step(shape.size(), 0);
  int64_t n = 1;
  for (int d = static_cast<int>(shape.size()) - 1; d >= 0; --d) {
    if (std::find(axes.begin(), axes.end(), d) != axes.end()) continue;
    step[d] = n;
    n *= shape[d];
  }
  Reduced r{std::vector<Wide>(n, 0), std::vector<Wide>(n, kInf), std::vector<Wide>(n, -kInf),
            std::vector<Wide>(n, 1), std::vector<Wide>(n, 0)};
  for (size_t i = 0; i < x.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), at = 0;
    for (int d = static_cast<int>(shape.size()) - 1; d >= 0; --d) {
      at += rest % shape[d] * step[d];
      rest /= shape[d];
    }
    r.sum[at] += x[i];
    r.size[at] += std::fabs(x[i]);
    r.product[at] *= x[i];
    r.least[at] = std::min<Wide>(r.least[at], x[i]);
    r.most[at] = std::max<Wide>(r.most[at], x[i]);
  }
  return r;
}

TEST(Tape, Reductions) {
  const std::vector<Shape> shapes = {{1},      {17},       {1000},     {3, 5},         {40, 700},
                                     {700, 3}, {2, 9, 33}, {6, 50, 4}, {3, 1, 130, 5}, {2, 3, 4, 5},
                                     {200000}, {30000, 8}};
  for (Dtype t : {float32, float64, float16, bfloat16, int32, uint8, int64, complex64}) {
    double precision = t == float64 ? 1e-14 : t == float16 ? 1e-3 : t == bfloat16 ? 8e-3 : 1e-6;
    for (const Shape& shape : shapes) {
      // Small values near one, so that products and half floats stay in range.
      array x = numbered(shape, float64);
      bool integral = issubdtype(t, integer);
      x = integral ? remainder(x, array(3.0, float64))
                   : add(array(1.0, float64),
                         multiply(sin(x), array(t == float64 ? 1e-5 : 1e-2, float64)));
      x = astype(x, t);
      array plain = t == complex64 ? real(x) : x;
      std::vector<double> v = values<double>(astype(plain, float64));
      int ndim = static_cast<int>(shape.size());
      for (int mask = 1; mask < 1 << ndim; ++mask) {
        std::vector<int> axes;
        for (int d = 0; d < ndim; ++d) {
          if (mask >> d & 1) axes.push_back(d);
        }
        Reduced want = reference(v, shape, axes);
        std::vector<int> order(ndim);
        for (int d = 0; d < ndim; ++d) order[d] = ndim - 1 - d;
        // Reduced in place, and in a transposed layout: the same axes of the same values.
        array laid = transpose(contiguous(transpose(x, order)), order);
        for (const array& in : {x, laid}) {
          auto got = [&](const array& r) {
            return values<double>(astype(t == complex64 ? real(r) : r, float64));
          };
          auto total = got(sum(in, axes)), least = got(min(in, axes)), most = got(max(in, axes));
          ASSERT_EQ(total.size(), want.sum.size());
          for (size_t i = 0; i < total.size(); ++i) {
            if (t == float16 && want.sum[i] > 65000) continue;
            ASSERT_NEAR(total[i], double(want.sum[i]), precision * double(want.size[i]))
                << dtype_to_string(t) << " " << to_string(shape) << " mask " << mask;
            ASSERT_EQ(least[i], double(want.least[i])) << to_string(shape) << " mask " << mask;
            ASSERT_EQ(most[i], double(want.most[i])) << to_string(shape) << " mask " << mask;
          }
          if (v.size() > 1000 || integral) continue;
          auto product = got(prod(in, axes));
          for (size_t i = 0; i < product.size(); ++i) {
            ASSERT_NEAR(product[i], double(want.product[i]), 3 * precision * std::fabs(product[i]));
          }
        }
      }
    }
  }
}

TEST(Tape, ReductionsKeepTheirDigits) {
  array x = ones({1 << 25});
  x.eval();
  EXPECT_EQ(sum(x).item<float>(), float(1 << 25));
  EXPECT_EQ(sum(reshape(x, {1 << 22, 8}), 0).shape(), (Shape{8}));
  EXPECT_EQ(values<float>(sum(reshape(x, {1 << 23, 4}), 0))[3], float(1 << 23));
  EXPECT_EQ(mean(full({70000}, array(1, float16))).dtype(), float16);
  EXPECT_EQ(astype(mean(full({70000}, array(1, float16))), float32).item<float>(), 1.0f);
}

TEST(Tape, ReductionsOfNanAndNothing) {
  for (int at : {0, 5, 63, 64, 999}) {
    std::vector<float> v(1000, 1.0f);
    v[at] = static_cast<float>(kNan);
    array x(v.begin(), Shape{1000}, float32);
    EXPECT_TRUE(std::isnan(max(x).item<float>())) << at;
    EXPECT_TRUE(std::isnan(min(x).item<float>())) << at;
    EXPECT_TRUE(std::isnan(max(max(reshape(x, {10, 100}), 0)).item<float>())) << at;
    EXPECT_TRUE(
        std::isnan(min(min(astype(reshape(x, {100, 10}), bfloat16), 0)).item<bfloat16_t>()));
  }
  EXPECT_EQ(values<float>(sum(zeros({3, 0}), 1)), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(values<float>(prod(zeros({0, 2}), 0)), (std::vector<float>{1, 1}));
  EXPECT_TRUE(all(zeros({0}, bool_)).item<bool>());
  EXPECT_FALSE(any(zeros({0}, bool_)).item<bool>());
  EXPECT_EQ(sum(zeros({0, 3}), 1).shape(), (Shape{0}));
  EXPECT_THROW(max(zeros({0})), std::invalid_argument);
  array b = array({true, true, false, true});
  EXPECT_FALSE(all(b).item<bool>());
  EXPECT_TRUE(any(b).item<bool>());
  EXPECT_EQ(sum(b).item<int>(), 3);
}

TEST(Tape, SameBitsOnAnyNumberOfThreads) {
  int before = cpu::num_threads();
  array x = sin(numbered({300, 1000}, float32));
  array y = astype(x, bfloat16);
  x.eval();
  y.eval();
  std::vector<std::function<array()>> work = {
      [&] { return sum(x); },
      [&] { return sum(x, 0); },
      [&] { return sum(x, 1); },
      [&] {
        return sum(transpose(x, {1, 0}), 0);
      },
      [&] { return mean(square(subtract(x, mean(x)))); },
      [&] { return prod(x, 0); },
      [&] { return tanh(add(multiply(x, x), array(0.5f))); },
      [&] {
        return transpose(multiply(x, array(3.0f)), {1, 0});
      },
      [&] { return astype(sum(y, 0), float32); },
      [&] { return astype(exp(y), float32); },
  };
  for (size_t k = 0; k < work.size(); ++k) {
    std::vector<float> first;
    for (int threads : {1, 2, 5}) {
      cpu::set_num_threads(threads);
      auto v = values<float>(work[k]());
      if (first.empty()) first = v;
      EXPECT_EQ(std::memcmp(first.data(), v.data(), v.size() * sizeof(float)), 0) << k;
    }
  }
  cpu::set_num_threads(before);
}

TEST(Tape, LongTapesAndSharedMemory) {
  // More values than a tape holds, with results kept on the way.
  array x = sin(numbered({16}, float32));
  std::vector<array> kept;
  array y = x;
  for (int i = 0; i < 1000; ++i) {
    y = add(y, x);
    if (i % 100 == 0) kept.push_back(y);
  }
  kept.push_back(y);
  eval(kept);
  EXPECT_TRUE(allclose(y, multiply(x, array(1001.0f)), 1e-3, 1e-5).item<bool>());
  EXPECT_TRUE(allclose(kept[1], multiply(x, array(102.0f)), 1e-4, 1e-5).item<bool>());
}

}  // namespace
