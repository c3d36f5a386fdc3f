// tests/cpp/fast_test.cpp: normalisation, softmax, rotary embedding and attention against plain
// double loops.
#include "backend/cpu/fast/fast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "backend/cpu/fast/targets.h"
#include "backend/cpu/parallel.h"

namespace mlx::core::cpu {
namespace {

template <class F>
void on_every_target(const F& f) {
  for (const int64_t target : simd_targets()) {
    use_simd_target(target);
    SCOPED_TRACE(simd_target_name(target));
    f();
  }
  use_simd_target(0);
}

template <class T>
constexpr Dtype::Val kDtype = std::is_same_v<T, float>       ? Dtype::Val::float32
                              : std::is_same_v<T, double>    ? Dtype::Val::float64
                              : std::is_same_v<T, float16_t> ? Dtype::Val::float16
                                                             : Dtype::Val::bfloat16;

/** Half an ULP or so of T, relative. */
template <class T>
constexpr double kUlp = std::is_same_v<T, float>       ? 2e-7
                        : std::is_same_v<T, double>    ? 4e-16
                        : std::is_same_v<T, float16_t> ? 6e-4
                                                       : 5e-3;
template <class T>
double number(T v) {
  if constexpr (sizeof(T) >= 4)
    return double(v);
  else
    return double(float(v));
}

template <class T>
std::vector<T> normal(size_t n, unsigned seed, double sigma = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> distribution(0, sigma);
  std::vector<T> values(n);
  for (auto& v : values) {
    if constexpr (sizeof(T) >= 4)
      v = T(distribution(random));
    else
      v = T(float(distribution(random)));
  }
  return values;
}

// ---- Normalisation
// ---------------------------------------------------------------------------------

template <class T>
void norms(size_t rows, size_t n, bool centre, bool with_weight) {
  SCOPED_TRACE(testing::Message() << rows << "x" << n << " centre " << centre << " weight "
                                  << with_weight);
  const float eps = 1e-5f;
  const auto x = normal<T>(rows * n, 1);
  const auto w = normal<T>(n, 2);
  const auto b = normal<T>(n, 3);
  const auto g = normal<T>(rows * n, 4);
  std::vector<T> out(rows * n), dx(rows * n), dw(n), db(n);
  const T* weight = with_weight ? w.data() : nullptr;
  const T* bias = with_weight ? b.data() : nullptr;
  if (centre) {
    layer_norm(x.data(), weight, bias, out.data(), kDtype<T>, rows, n, eps);
    layer_norm_vjp(x.data(), weight, g.data(), kDtype<T>, rows, n, eps, dx.data(), dw.data(),
                   db.data());
  } else {
    rms_norm(x.data(), weight, out.data(), kDtype<T>, rows, n, eps);
    rms_norm_vjp(x.data(), weight, g.data(), kDtype<T>, rows, n, eps, dx.data(), dw.data());
  }
  std::vector<double> dw_ref(n), db_ref(n), dw_size(n), db_size(n);
  for (size_t r = 0; r < rows; ++r) {
    double mean = 0, square = 0;
    const auto at = [&](size_t i) { return number(x[r * n + i]); };
    for (size_t i = 0; centre && i < n; ++i) mean += at(i) / double(n);
    for (size_t i = 0; i < n; ++i) square += (at(i) - mean) * (at(i) - mean) / double(n);
    const double inverse = 1 / std::sqrt(square + double(eps));
    double level = 0, along = 0;
    const auto weighted = [&](size_t i) {
      return number(g[r * n + i]) * (weight ? number(w[i]) : 1);
    };
    const auto xhat = [&](size_t i) { return (at(i) - mean) * inverse; };
    for (size_t i = 0; i < n; ++i) {
      level += weighted(i) / double(n);
      along += weighted(i) * xhat(i) / double(n);
    }
    for (size_t i = 0; i < n; ++i) {
      const double ref =
          xhat(i) * (weight ? number(w[i]) : 1) + (centre && bias ? number(b[i]) : 0);
      const double size =
          std::fabs(xhat(i)) * (weight ? std::fabs(number(w[i])) : 1) + std::fabs(ref);
      ASSERT_NEAR(number(out[r * n + i]), ref, 10 * kUlp<T> * (size + 0.1));
      const double dref = inverse * (weighted(i) - (centre ? level : 0) - xhat(i) * along);
      ASSERT_NEAR(number(dx[r * n + i]), dref, 10 * kUlp<T> * (std::fabs(dref) + inverse));
      dw_ref[i] += number(g[r * n + i]) * xhat(i);
      db_ref[i] += number(g[r * n + i]);
      dw_size[i] += std::fabs(number(g[r * n + i]) * xhat(i));
      db_size[i] += std::fabs(number(g[r * n + i]));
    }
  }
  for (size_t i = 0; i < n; ++i) {
    ASSERT_NEAR(number(dw[i]), dw_ref[i], 2 * kUlp<T> * std::fabs(dw_ref[i]) + 1e-6 * dw_size[i]);
    if (centre) {
      ASSERT_NEAR(number(db[i]), db_ref[i], 2 * kUlp<T> * std::fabs(db_ref[i]) + 1e-6 * db_size[i]);
    }
  }
}

TEST(Norm, ValuesAndGradients) {
  on_every_target([] {
    for (const size_t n : {1, 7, 64, 131}) {
      for (const bool centre : {false, true}) {
        for (const bool weight : {false, true}) {
          norms<float>(5, n, centre, weight);
          norms<double>(5, n, centre, weight);
          norms<float16_t>(5, n, centre, weight);
          norms<bfloat16_t>(5, n, centre, weight);
        }
      }
    }
    norms<float>(700, 96, true, true);
  });
}

TEST(Norm, InPlaceAndSameBitsOnAnyNumberOfThreads) {
  const size_t rows = 500, n = 200;
  const auto x = normal<float>(rows * n, 1);
  const auto w = normal<float>(n, 2);
  const int threads = num_threads();
  std::vector<float> dw[2], dx[2];
  for (int t : {1, 3}) {
    set_num_threads(t);
    dw[t / 2].resize(n);
    dx[t / 2] = x;  // dout, then dx in its place
    layer_norm_vjp(x.data(), w.data(), dx[t / 2].data(), Dtype::Val::float32, rows, n, 1e-5f,
                   dx[t / 2].data(), dw[t / 2].data(), nullptr);
  }
  set_num_threads(threads);
  EXPECT_EQ(dw[0], dw[1]);
  EXPECT_EQ(dx[0], dx[1]);
  std::vector<float> apart(rows * n);
  layer_norm_vjp(x.data(), w.data(), x.data(), Dtype::Val::float32, rows, n, 1e-5f, apart.data(),
                 nullptr, nullptr);
  EXPECT_EQ(apart, dx[0]);
}

TEST(Norm, RefusesIntegers) {
  EXPECT_THROW(rms_norm(nullptr, nullptr, nullptr, Dtype::Val::int32, 0, 0, 1e-5f),
               std::invalid_argument);
}

// ---- Softmax
// -----------------------------------------------------------------------------------------

template <class T>
void softmaxes(size_t outer, size_t n, size_t inner) {
  SCOPED_TRACE(testing::Message() << outer << " " << n << " " << inner);
  const auto x = normal<T>(outer * n * inner, 5, 6.0);
  std::vector<T> out = x, log(outer * inner);
  softmax(out.data(), out.data(), kDtype<T>, outer, n, inner);
  logsumexp(x.data(), log.data(), kDtype<T>, outer, n, inner);
  for (size_t o = 0; o < outer; ++o) {
    for (size_t c = 0; c < inner; ++c) {
      const auto at = [&](size_t i) { return (o * n + i) * inner + c; };
      double max = -1e30, sum = 0, total = 0;
      for (size_t i = 0; i < n; ++i) max = std::max(max, number(x[at(i)]));
      for (size_t i = 0; i < n; ++i) sum += std::exp(number(x[at(i)]) - max);
      for (size_t i = 0; i < n; ++i) {
        const double ref = std::exp(number(x[at(i)]) - max) / sum;
        ASSERT_NEAR(number(out[at(i)]), ref, 10 * kUlp<T> * ref + 1e-7);
        total += number(out[at(i)]);
      }
      ASSERT_NEAR(total, 1.0, 4 * kUlp<T>);
      const double ref = max + std::log(sum);
      ASSERT_NEAR(number(log[o * inner + c]), ref, 4 * kUlp<T> * (std::fabs(ref) + 1));
    }
  }
}

TEST(Softmax, LastAndStridedAxes) {
  on_every_target([] {
    for (const size_t n : {1, 2, 15, 16, 65, 333}) {
      for (const size_t inner : {1, 3, 33}) {
        softmaxes<float>(4, n, inner);
        softmaxes<double>(4, n, inner);
        softmaxes<float16_t>(4, n, inner);
        softmaxes<bfloat16_t>(4, n, inner);
      }
    }
  });
}

TEST(Softmax, Specials) {
  const float inf = std::numeric_limits<float>::infinity();
  on_every_target([&] {
    std::vector<float> rows = {0, -inf, 1,   -inf, -inf,   -inf,   1,     inf,
                               2, 3,    NAN, 1,    -1e30f, -1e30f, -1e30f};
    std::vector<float> out(15), log(5);
    softmax(rows.data(), out.data(), Dtype::Val::float32, 5, 3, 1);
    logsumexp(rows.data(), log.data(), Dtype::Val::float32, 5, 3, 1);
    EXPECT_EQ(out[1], 0.0f);
    EXPECT_NEAR(out[2], 0.7310586f, 1e-6f);
    EXPECT_TRUE(std::isnan(out[3]));
    EXPECT_TRUE(std::isnan(out[7]));
    EXPECT_TRUE(std::isnan(out[9]));
    EXPECT_NEAR(out[13], 1.0f / 3, 1e-6f);
    EXPECT_NEAR(log[0], 1.3132616f, 1e-6f);
    EXPECT_EQ(log[1], -inf);
    EXPECT_EQ(log[2], inf);
    EXPECT_TRUE(std::isnan(log[3]));
    logsumexp(nullptr, log.data(), Dtype::Val::float32, 2, 0, 1);
    EXPECT_EQ(log[1], -inf);
    // exp itself, over its range: softmax of (0, x) is exp(x) / (1 + exp(x)).
    for (float x = -103; x < 0; x += 0.37f) {
      float pair[] = {0, x};
      softmax(pair, pair, Dtype::Val::float32, 1, 2, 1);
      const double ref = std::exp(double(x)) / (1 + std::exp(double(x)));
      EXPECT_NEAR(pair[1], ref, 4e-7 * ref + 1.5e-45) << x;
    }
  });
}

// ---- Rotary embedding
// --------------------------------------------------------------------------------

template <class T>
void ropes(bool traditional, bool own_freqs, bool each_offset) {
  const size_t batch = 2, heads = 3, length = 5, dim = 70, dims = 38;
  // in lies as [batch, length, heads, dim], every second value used.
  const auto in = normal<T>(batch * length * heads * dim * 2, 9);
  const int64_t s[] = {int64_t(length * heads * dim * 2), int64_t(dim * 2),
                       int64_t(heads * dim * 2), 2};
  std::vector<T> out(batch * heads * length * dim), back(out.size());
  const int64_t os[] = {int64_t(heads * length * dim), int64_t(length * dim), int64_t(dim), 1};
  std::vector<float> freqs;
  for (size_t i = 0; i < dims / 2; ++i) freqs.push_back(1.0f + float(i) * 2.5f);
  const int64_t offsets[] = {1000, 7};
  Rope r{};
  r.dtype = kDtype<T>;
  r.batch = batch, r.heads = heads, r.length = length, r.head_dim = dim;
  r.in = in.data();
  r.out = out.data();
  std::copy_n(s, 4, r.in_strides);
  std::copy_n(os, 4, r.out_strides);
  r.dims = dims;
  r.traditional = traditional;
  r.base = 10000;
  r.freqs = own_freqs ? freqs.data() : nullptr;
  r.scale = 0.5f;
  r.offsets = offsets;
  r.offset_step = each_offset ? 1 : 0;
  rope(r);
  r.in = out.data();
  r.out = back.data();
  std::copy_n(os, 4, r.in_strides);
  r.inverse = true;
  rope(r);
  for (size_t b = 0; b < batch; ++b) {
    for (size_t h = 0; h < heads; ++h) {
      for (size_t t = 0; t < length; ++t) {
        const auto x = [&](size_t c) {
          return number(
              in[size_t(int64_t(b) * s[0] + int64_t(h) * s[1] + int64_t(t) * s[2]) + c * 2]);
        };
        const T* y = out.data() + ((b * heads + h) * length + t) * dim;
        const T* z = back.data() + ((b * heads + h) * length + t) * dim;
        for (size_t i = 0; i < dims / 2; ++i) {
          const double rate =
              own_freqs ? 1.0 / double(freqs[i]) : std::pow(10000.0, -double(i) / double(dims / 2));
          const double angle = double(offsets[each_offset ? b : 0] + int64_t(t)) * 0.5 * rate;
          const size_t first = traditional ? 2 * i : i;
          const size_t second = traditional ? 2 * i + 1 : i + dims / 2;
          const double a = x(first) * std::cos(angle) - x(second) * std::sin(angle);
          const double c = x(first) * std::sin(angle) + x(second) * std::cos(angle);
          ASSERT_NEAR(number(y[first]), a, 4 * kUlp<T> * 3);
          ASSERT_NEAR(number(y[second]), c, 4 * kUlp<T> * 3);
        }
        for (size_t c = dims; c < dim; ++c) ASSERT_EQ(number(y[c]), x(c));
        for (size_t c = 0; c < dim; ++c) ASSERT_NEAR(number(z[c]), x(c), 8 * kUlp<T> * 3);
      }
    }
  }
}

TEST(RopeKernel, TurnsAndTurnsBack) {
  on_every_target([] {
    for (const bool traditional : {false, true}) {
      for (const bool own_freqs : {false, true}) {
        for (const bool each : {false, true}) {
          ropes<float>(traditional, own_freqs, each);
          ropes<float16_t>(traditional, own_freqs, each);
          ropes<bfloat16_t>(traditional, own_freqs, each);
        }
      }
    }
  });
  Rope r{};
  r.dtype = Dtype::Val::float32;
  r.dims = 5;
  r.head_dim = 8;
  EXPECT_THROW(rope(r), std::invalid_argument);
}

// ---- Attention
// ---------------------------------------------------------------------------------------

enum class Mask { none, causal, boolean, additive };

template <class T>
struct Case {
  size_t batch, heads, kv_heads, queries, keys, dim, vdim;
  Mask mask = Mask::none;
  bool sinks = false;
  std::vector<T> q{}, k{}, v{};
  std::vector<float> added{}, sink{};
  std::vector<uint8_t> seen{};  // [queries, keys], broadcast over batch and heads
  Attention args{};

  void build() {
    // q lies as [batch, queries, heads, dim], as projections leave it; k and v have gaps between
    // heads.
    q = normal<T>(batch * queries * heads * dim, 1);
    k = normal<T>(batch * kv_heads * (keys + 3) * dim, 2);
    v = normal<T>(batch * kv_heads * (keys + 3) * vdim, 3);
    const auto i64 = [](size_t n) { return int64_t(n); };
    args.dtype = kDtype<T>;
    args.batch = batch, args.heads = heads, args.kv_heads = kv_heads;
    args.queries = queries, args.keys = keys, args.head_dim = dim, args.value_dim = vdim;
    args.q = {q.data(), {i64(queries * heads * dim), i64(dim), i64(heads * dim), 1}};
    args.k = {k.data(), {i64(kv_heads * (keys + 3) * dim), i64((keys + 3) * dim), i64(dim), 1}};
    args.v = {v.data(), {i64(kv_heads * (keys + 3) * vdim), i64((keys + 3) * vdim), i64(vdim), 1}};
    args.scale = 1.0f / std::sqrt(float(dim));
    args.causal = mask == Mask::causal;
    if (mask == Mask::boolean) {
      std::mt19937 random(4);
      seen.resize(queries * keys);
      for (auto& s : seen) s = random() % 3 != 0;
      std::fill_n(seen.begin(), keys, uint8_t(0));  // the first query sees nothing
      args.mask = {seen.data(), {0, 0, i64(keys), 1}};
      args.mask_dtype = Dtype::Val::bool_;
    }
    if (mask == Mask::additive) {
      added = normal<float>(heads * queries * keys, 6);
      args.mask = {added.data(), {0, i64(queries * keys), i64(keys), 1}};
      args.mask_dtype = Dtype::Val::float32;
    }
    if (sinks) {
      sink = normal<float>(heads, 7);
      args.sinks = sink.data();
    }
  }

  double q_at(size_t b, size_t h, size_t i, size_t c) const {
    return number(q[((b * queries + i) * heads + h) * dim + c]);
  }
  double k_at(size_t b, size_t h, size_t j, size_t c) const {
    return number(k[((b * kv_heads + h / (heads / kv_heads)) * (keys + 3) + j) * dim + c]);
  }
  double v_at(size_t b, size_t h, size_t j, size_t c) const {
    return number(v[((b * kv_heads + h / (heads / kv_heads)) * (keys + 3) + j) * vdim + c]);
  }
  /** Probabilities of one query, and the logarithm of their denominator. */
  std::vector<double> weights(size_t b, size_t h, size_t i, double* lse) const {
    std::vector<double> p(keys);
    double max = sinks ? double(sink[h]) : -1e300;
    for (size_t j = 0; j < keys; ++j) {
      for (size_t c = 0; c < dim; ++c)
        p[j] += q_at(b, h, i, c) * k_at(b, h, j, c) * double(args.scale);
      if (mask == Mask::causal && j + queries > i + keys) p[j] = -3e38;
      if (mask == Mask::boolean && !seen[i * keys + j]) p[j] = -3e38;
      if (mask == Mask::additive) p[j] += double(added[(h * queries + i) * keys + j]);
      max = std::max(max, p[j]);
    }
    double sum = sinks ? std::exp(double(sink[h]) - max) : 0;
    for (auto& x : p) sum += x = std::exp(x - max);
    for (auto& x : p) x /= sum;
    *lse = max + std::log(sum);
    return p;
  }
};

template <class T>
void attends(Case<T> c) {
  SCOPED_TRACE(testing::Message() << c.batch << " " << c.heads << "/" << c.kv_heads << " "
                                  << c.queries << "x" << c.keys << " dim " << c.dim << " " << c.vdim
                                  << " mask " << int(c.mask) << " sinks " << c.sinks);
  c.build();
  const size_t n = c.batch * c.heads * c.queries;
  std::vector<T> out(n * c.vdim);
  std::vector<float> lse(n);
  const int64_t strides[] = {int64_t(c.heads * c.queries * c.vdim), int64_t(c.vdim),
                             int64_t(c.heads * c.vdim), 1};  // [batch, queries, heads, vdim]
  attention(c.args, out.data(), strides, lse.data());
  for (size_t b = 0; b < c.batch; ++b) {
    for (size_t h = 0; h < c.heads; ++h) {
      for (size_t i = 0; i < c.queries; ++i) {
        double log;
        const auto p = c.weights(b, h, i, &log);
        if (log > -1e38) {
          ASSERT_NEAR(lse[(b * c.heads + h) * c.queries + i], log, 1e-5);
        }
        for (size_t x = 0; x < c.vdim; ++x) {
          double ref = 0;
          for (size_t j = 0; j < c.keys; ++j) ref += p[j] * c.v_at(b, h, j, x);
          ASSERT_NEAR(number(out[((b * c.queries + i) * c.heads + h) * c.vdim + x]), ref,
                      4 * kUlp<T> * (std::fabs(ref) + 1) + 2e-6)
              << b << " " << h << " " << i << " " << x;
        }
      }
    }
  }
}

template <class T>
void all_attention() {
  for (const Mask mask : {Mask::none, Mask::causal, Mask::boolean, Mask::additive}) {
    for (const bool sinks : {false, true}) {
      attends<T>({2, 6, 2, 37, 53, 24, 24, mask, sinks});
      attends<T>({1, 2, 2, 20, 300, 16, 9, mask, sinks});
      attends<T>({1, 3, 1, 45, 17, 8, 40, mask, sinks});  // more queries than keys
      attends<T>({2, 6, 2, 1, 70, 24, 24, mask, sinks});
      attends<T>({1, 4, 2, 3, 600, 33, 17, mask, sinks});
      attends<T>({1, 5, 5, 4, 3, 64, 64, mask, sinks});
    }
  }
}

TEST(Attention, EveryMaskAndShape) {
  on_every_target([] {
    all_attention<float>();
    all_attention<float16_t>();
    all_attention<bfloat16_t>();
  });
}

template <class T>
void attends_backwards(Case<T> c) {
  SCOPED_TRACE(testing::Message() << c.batch << " " << c.heads << "/" << c.kv_heads << " "
                                  << c.queries << "x" << c.keys << " dim " << c.dim << " " << c.vdim
                                  << " mask " << int(c.mask) << " sinks " << c.sinks);
  c.build();
  const size_t L = c.queries, S = c.keys, group = c.heads / c.kv_heads;
  const size_t rows = c.batch * c.heads * L;
  std::vector<T> out(rows * c.vdim);
  std::vector<float> lse(rows);
  const auto g = normal<T>(rows * c.vdim, 11);
  const int64_t strides[] = {int64_t(c.heads * L * c.vdim), int64_t(L * c.vdim), int64_t(c.vdim),
                             1};
  attention(c.args, out.data(), strides, lse.data());
  std::vector<T> dq(rows * c.dim), dk(c.batch * c.kv_heads * S * c.dim),
      dv(c.batch * c.kv_heads * S * c.vdim);
  std::vector<float> dsinks(c.heads), dmask(rows * S, -5.0f);
  AttentionOperand out_op{out.data(), {}}, g_op{g.data(), {}};
  std::copy_n(strides, 4, out_op.strides);
  std::copy_n(strides, 4, g_op.strides);
  attention_vjp(c.args, out_op, lse.data(), g_op,
                {dq.data(), dk.data(), dv.data(), dsinks.data(), dmask.data()});
  std::vector<double> dk_ref(dk.size()), dv_ref(dv.size()), dsinks_ref(c.heads);
  const double tolerance = sizeof(T) == 4 ? 3e-5 : 60 * kUlp<T>;
  for (size_t b = 0; b < c.batch; ++b) {
    for (size_t h = 0; h < c.heads; ++h) {
      for (size_t i = 0; i < L; ++i) {
        const size_t row = (b * c.heads + h) * L + i;
        double log;
        const auto p = c.weights(b, h, i, &log);
        const bool blind = log < -1e38;
        std::vector<double> dp(S);
        double delta = 0;
        for (size_t j = 0; j < S; ++j) {
          for (size_t x = 0; x < c.vdim; ++x) {
            dp[j] += number(g[row * c.vdim + x]) * c.v_at(b, h, j, x);
            dv_ref[((b * c.kv_heads + h / group) * S + j) * c.vdim + x] +=
                p[j] * number(g[row * c.vdim + x]);
          }
          delta += p[j] * dp[j];
        }
        if (c.sinks) dsinks_ref[h] -= std::exp(double(c.sink[h]) - log) * delta;
        std::vector<double> dq_ref(c.dim);
        for (size_t j = 0; j < S; ++j) {
          const double ds = blind ? 0 : p[j] * (dp[j] - delta);
          ASSERT_NEAR(dmask[row * S + j], ds, tolerance);
          for (size_t x = 0; x < c.dim; ++x) {
            dq_ref[x] += ds * c.k_at(b, h, j, x) * double(c.args.scale);
            dk_ref[((b * c.kv_heads + h / group) * S + j) * c.dim + x] +=
                ds * c.q_at(b, h, i, x) * double(c.args.scale);
          }
        }
        for (size_t x = 0; x < c.dim; ++x)
          ASSERT_NEAR(number(dq[row * c.dim + x]), dq_ref[x], tolerance);
      }
    }
  }
  for (size_t i = 0; i < dk.size(); ++i) ASSERT_NEAR(number(dk[i]), dk_ref[i], tolerance * 3);
  for (size_t i = 0; i < dv.size(); ++i) ASSERT_NEAR(number(dv[i]), dv_ref[i], tolerance * 3);
  for (size_t h = 0; h < c.heads; ++h) ASSERT_NEAR(dsinks[h], dsinks_ref[h], tolerance * 10);
}

TEST(Attention, Gradients) {
  on_every_target([] {
    for (const Mask mask : {Mask::none, Mask::causal, Mask::boolean, Mask::additive}) {
      for (const bool sinks : {false, true}) {
        attends_backwards<float>({2, 6, 2, 37, 53, 24, 24, mask, sinks});
        attends_backwards<float>({1, 2, 1, 50, 150, 16, 40, mask, sinks});
        attends_backwards<float>({1, 3, 1, 20, 7, 9, 5, mask, sinks});
        attends_backwards<bfloat16_t>({1, 2, 2, 9, 20, 16, 16, mask, sinks});
      }
    }
  });
}

TEST(Attention, SameBitsOnAnyNumberOfThreads) {
  const int threads = num_threads();
  std::vector<float> results[2];
  for (const size_t queries : {1, 300}) {
    Case<float> c{1, 6, 2, queries, 700, 64, 64, Mask::causal};
    c.build();
    for (int t : {1, 3}) {
      set_num_threads(t);
      auto& out = results[t / 2];
      out.assign(6 * queries * 64, 0.0f);
      const int64_t strides[] = {0, int64_t(queries * 64), 64, 1};
      attention(c.args, out.data(), strides, nullptr);
    }
    EXPECT_EQ(results[0], results[1]);
  }
  set_num_threads(threads);
}

TEST(Attention, Edges) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const size_t queries : {2, 30}) {
    Case<float> c{1, 1, 1, queries, 5, 8, 4, Mask::additive};
    c.build();
    std::fill_n(c.added.begin(), 5, -inf);
    std::vector<float> out(queries * 4);
    const int64_t strides[] = {0, 0, 4, 1};
    attention(c.args, out.data(), strides, nullptr);
    EXPECT_TRUE(std::isnan(out[0]));
    EXPECT_FALSE(std::isnan(out[4]));
    c.args.keys = 0;
    attention(c.args, out.data(), strides, nullptr);
    EXPECT_EQ(out, std::vector<float>(queries * 4, 0.0f));
  }
  Case<float> bad{1, 3, 2, 1, 1, 1, 1};
  bad.build();
  EXPECT_THROW(attention(bad.args, nullptr, {0, 0, 0, 0}, nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace mlx::core::cpu
