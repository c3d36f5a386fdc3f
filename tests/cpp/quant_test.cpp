// tests/cpp/quant_test.cpp: affine quantisation, its products and GGUF blocks against plain loops.
#include "backend/cpu/quant/quant.h"
#include "core/io/gguf_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "backend/cpu/fast/targets.h"
#include "backend/cpu/parallel.h"

namespace mlx::core::cpu {
namespace {

using namespace mlx::core::io;

/** Runs f on every instruction set this machine has. */
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
                              : std::is_same_v<T, float16_t> ? Dtype::Val::float16
                                                             : Dtype::Val::bfloat16;

template <class T>
std::vector<T> normal(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<T> values(n);
  for (auto& v : values) v = T(distribution(random));
  return values;
}

uint32_t code_at(const uint32_t* packed, size_t i, int bits) {
  uint32_t code = 0;
  for (int b = 0; b < bits; ++b) {
    const size_t bit = i * size_t(bits) + size_t(b);
    code |= (packed[bit / 32] >> (bit % 32) & 1u) << b;
  }
  return code;
}

template <class T>
struct Quantized {
  std::vector<uint32_t> packed;
  std::vector<T> scales;
  std::vector<T> biases;
  std::vector<double> values;  // scale * q + bias, exactly
};

template <class T>
Quantized<T> quantized(const std::vector<T>& w, int group, int bits) {
  const size_t groups = w.size() / size_t(group);
  Quantized<T> q;
  q.packed.resize(packed_words(w.size(), bits));
  q.scales.resize(groups);
  q.biases.resize(groups);
  affine_quantize(w.data(), kDtype<T>, groups, group, bits, q.packed.data(), q.scales.data(),
                  q.biases.data());
  for (size_t i = 0; i < w.size(); ++i) {
    const size_t g = i / size_t(group);
    q.values.push_back(double(float(q.scales[g])) * code_at(q.packed.data(), i, bits) +
                       double(float(q.biases[g])));
  }
  return q;
}

template <class T>
void quantize_as_specified() {
  for (int group : {32, 64, 128}) {
    for (int bits : {1, 2, 3, 4, 5, 6, 8}) {
      auto w = normal<T>(size_t(group) * 37, unsigned(bits));
      std::fill(w.begin(), w.begin() + group, T(0.0f));
      std::fill(w.begin() + group, w.begin() + 2 * group, T(-1.5f));
      for (int i = 2 * group; i < 3 * group; ++i) w[i] = T(std::fabs(float(w[i])) * 1e4f);
      const auto q = quantized(w, group, bits);
      const float levels = float((1 << bits) - 1);
      for (size_t g = 0; g < q.scales.size(); ++g) {
        const T* first = w.data() + g * size_t(group);
        const auto less = [](T a, T b) { return float(a) < float(b); };
        const float max = float(*std::max_element(first, first + group, less));
        const float min = float(*std::min_element(first, first + group, less));
        float scale = std::max((max - min) / levels, 1e-7f);
        float bias = min;
        if (bits > 1) {
          const bool from_min = std::fabs(min) > std::fabs(max);
          if (!from_min) scale = -scale;
          bias = from_min ? min : max;
          const float zero = std::nearbyint(bias / scale);
          if (zero != 0) {
            scale = bias / zero;
          } else {
            bias = 0;
          }
        }
        ASSERT_EQ(float(q.scales[g]), float(T(scale))) << group << " " << bits << " " << g;
        ASSERT_EQ(float(q.biases[g]), float(T(bias)));
        for (int i = 0; i < group; ++i) {
          const float code =
              std::clamp(std::nearbyint((float(first[i]) - bias) / scale), 0.0f, levels);
          ASSERT_EQ(code_at(q.packed.data(), g * size_t(group) + size_t(i), bits), uint32_t(code));
        }
      }
      std::vector<T> back(w.size());
      affine_dequantize(q.packed.data(), q.scales.data(), q.biases.data(), kDtype<T>,
                        q.scales.size(), group, bits, back.data());
      for (size_t i = 0; i < w.size(); ++i) {
        const size_t g = i / size_t(group);
        const volatile float product =
            float(q.scales[g]) * float(code_at(q.packed.data(), i, bits));
        ASSERT_EQ(float(back[i]), float(T(float(T(float(product))) + float(q.biases[g]))));
      }
    }
  }
}

TEST(Quantize, IsBitExact) {
  on_every_target([] {
    quantize_as_specified<float>();
    quantize_as_specified<float16_t>();
    quantize_as_specified<bfloat16_t>();
  });
}

TEST(Quantize, RefusesWhatIsUnsupported) {
  EXPECT_THROW(affine_quantize(nullptr, Dtype::Val::float32, 0, 32, 7, nullptr, nullptr, nullptr),
               std::invalid_argument);
  EXPECT_THROW(affine_quantize(nullptr, Dtype::Val::float32, 0, 33, 4, nullptr, nullptr, nullptr),
               std::invalid_argument);
  EXPECT_THROW(affine_dequantize(nullptr, nullptr, nullptr, Dtype::Val::int32, 0, 32, 4, nullptr),
               std::invalid_argument);
}

/** Every element against the double sum over the exact dequantised values. */
template <class Tx, class Tw, class To>
void multiply(size_t m, size_t rows, size_t cols, int group, int bits, bool transpose) {
  SCOPED_TRACE(testing::Message() << m << " rows, w " << rows << "x" << cols << " group " << group
                                  << " bits " << bits << " transpose " << transpose);
  const auto w = quantized(normal<Tw>(rows * cols, 7), group, bits);
  const size_t k = transpose ? cols : rows;
  const size_t n = transpose ? rows : cols;
  const size_t x_row = k + 3;
  const size_t out_row = n + 5;
  const auto x = normal<Tx>(m * x_row, 8);
  std::vector<To> out(m * out_row + 1, To(-77.0f));
  const AffineMatrix matrix{
      w.packed.data(), w.scales.data(), w.biases.data(), kDtype<Tw>, rows, cols, group, bits};
  quantized_matmul(x.data(), kDtype<Tx>, x_row, m, matrix, transpose, out.data(), kDtype<To>,
                   out_row);
  const double rounding = std::is_same_v<To, float>       ? 1e-6
                          : std::is_same_v<To, float16_t> ? 1e-3
                                                          : 8e-3;
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = 0; j < n; ++j) {
      double sum = 0;
      double size = 1e-3;
      for (size_t c = 0; c < k; ++c) {
        const double term =
            double(float(x[i * x_row + c])) * w.values[transpose ? j * k + c : c * n + j];
        sum += term;
        size += std::fabs(term);
      }
      ASSERT_NEAR(float(out[i * out_row + j]), sum, 2e-6 * size + rounding * std::fabs(sum))
          << i << " " << j;
    }
    for (size_t j = n; j < out_row; ++j) ASSERT_EQ(float(out[i * out_row + j]), -77.0f);
  }
}

TEST(QuantizedMatmul, EveryWidthAndShape) {
  on_every_target([] {
    for (int bits : {1, 2, 3, 4, 5, 6, 8}) {
      for (int group : {32, 64, 128}) {
        const size_t g = size_t(group);
        multiply<float, float, float>(1, 13, 3 * g, group, bits, true);
        multiply<float, float16_t, float>(3, 9, 5 * g, group, bits, true);
        multiply<float, bfloat16_t, float>(8, 6, g, group, bits, true);
        multiply<float, float, float>(17, 70, 9 * g, group, bits, true);
        multiply<float, float16_t, float>(5, 19, 3 * g, group, bits, false);
        multiply<float, bfloat16_t, float>(30, 67, g, group, bits, false);
      }
    }
  });
}

TEST(QuantizedMatmul, EveryDtype) {
  on_every_target([] {
    for (size_t m : {1, 2, 4, 7, 20}) {
      for (bool transpose : {true, false}) {
        multiply<float16_t, float16_t, float16_t>(m, 33, 160, 32, 4, transpose);
        multiply<bfloat16_t, bfloat16_t, bfloat16_t>(m, 33, 192, 64, 8, transpose);
        multiply<float16_t, bfloat16_t, float>(m, 33, 96, 32, 6, transpose);
        multiply<bfloat16_t, float, bfloat16_t>(m, 33, 128, 128, 4, transpose);
      }
    }
  });
}

TEST(QuantizedMatmul, DepthAndWidthBeyondOnePanel) {
  multiply<float, float, float>(600, 40, 1120, 32, 4, true);
  multiply<float, float, float16_t>(9, 2100, 576, 32, 4, true);
  multiply<float, float, float>(9, 1031, 1056, 32, 4, false);
}

TEST(QuantizedMatmul, BatchWithOffsets) {
  const size_t n = 24, k = 96;
  const auto w = quantized(normal<float>(3 * n * k, 1), 32, 4);
  for (size_t m : {2, 11}) {
    const auto x = normal<float>(4 * m * k, 2);
    std::vector<float> out(4 * m * n);
    std::vector<QuantizedBatch> batch;
    const size_t of[] = {2, 0, 2, 1};
    for (size_t e = 0; e < 4; ++e) {
      batch.push_back(
          {(3 - e) * m * k, of[e] * n * packed_words(k, 4), of[e] * n * k / 32, e * m * n});
    }
    const AffineMatrix matrix{
        w.packed.data(), w.scales.data(), w.biases.data(), Dtype::Val::float32, n, k, 32, 4};
    quantized_matmul(x.data(), Dtype::Val::float32, k, m, matrix, true, out.data(),
                     Dtype::Val::float32, n, batch.data(), batch.size());
    for (size_t e = 0; e < 4; ++e) {
      for (size_t i = 0; i < m; ++i) {
        for (size_t j = 0; j < n; ++j) {
          double sum = 0;
          for (size_t c = 0; c < k; ++c) {
            sum += double(x[batch[e].x + i * k + c]) * w.values[(of[e] * n + j) * k + c];
          }
          ASSERT_NEAR(out[batch[e].out + i * n + j], sum, 1e-4);
        }
      }
    }
  }
}

TEST(QuantizedMatmul, NothingToDo) {
  const AffineMatrix no_depth{nullptr, nullptr, nullptr, Dtype::Val::float32, 3, 0, 32, 4};
  std::vector<float> out(6, 1.0f);
  quantized_matmul(nullptr, Dtype::Val::float32, 0, 2, no_depth, true, out.data(),
                   Dtype::Val::float32, 3);
  EXPECT_EQ(out, std::vector<float>(6, 0.0f));
  quantized_matmul(nullptr, Dtype::Val::float32, 0, 0, no_depth, true, nullptr, Dtype::Val::float32,
                   3);
  EXPECT_THROW(quantized_matmul(nullptr, Dtype::Val::int32, 0, 2, no_depth, true, nullptr,
                                Dtype::Val::float32, 3),
               std::invalid_argument);
}

TEST(QuantizedMatmul, SameBitsOnAnyNumberOfThreads) {
  const size_t n = 300, k = 576;
  const auto w = quantized(normal<float>(n * k, 1), 32, 4);
  const AffineMatrix matrix{
      w.packed.data(), w.scales.data(), w.biases.data(), Dtype::Val::float32, n, k, 32, 4};
  const int threads = num_threads();
  for (size_t m : {1, 3, 40}) {
    const auto x = normal<float>(m * k, 2);
    std::vector<float> results[2];
    for (int t : {1, 3}) {
      set_num_threads(t);
      auto& out = results[t / 2];
      out.resize(m * n);
      quantized_matmul(x.data(), Dtype::Val::float32, k, m, matrix, true, out.data(),
                       Dtype::Val::float32, n);
    }
    EXPECT_EQ(results[0], results[1]);
  }
  set_num_threads(threads);
}

/** Reproducible bytes, with these float16 numbers (0.75, then 1.25) at these offsets. */
std::vector<uint8_t> block_bytes(size_t n, uint32_t seed, const int (&halves)[2]) {
  std::vector<uint8_t> bytes(n);
  for (auto& b : bytes) b = uint8_t((seed = seed * 1664525u + 1013904223u) >> 24);
  const float16_t values[] = {float16_t(0.75f), float16_t(1.25f)};
  for (int i = 0; i < 2; ++i) {
    if (halves[i] >= 0) std::memcpy(bytes.data() + halves[i], &values[i], 2);
  }
  return bytes;
}

TEST(FloatModes, ProductsOnEveryTarget) {
  struct Case {
    QuantizationMode mode;
    int group, bits;
    size_t k;
  };
  std::mt19937 rng(3);
  std::normal_distribution<float> normal;
  for (const Case& c :
       {Case{QuantizationMode::Mxfp4, 32, 4, 96}, Case{QuantizationMode::Mxfp8, 32, 8, 96},
        Case{QuantizationMode::Nvfp4, 16, 4, 112}}) {
    const size_t n = 37, most = 9;
    std::vector<float> w(n * c.k), x(most * c.k), back(n * c.k);
    for (float& v : w) v = normal(rng);
    for (float& v : x) v = normal(rng);
    const size_t groups = n * c.k / size_t(c.group);
    std::vector<uint32_t> packed(n * c.k * size_t(c.bits) / 32);
    std::vector<uint8_t> scales(groups);
    float_quantize(c.mode, w.data(), Dtype::Val::float32, groups, 0, packed.data(), scales.data());
    float_dequantize(c.mode, packed.data(), scales.data(), groups, 0, Dtype::Val::float32,
                     back.data());
    const AffineMatrix m{packed.data(), scales.data(), nullptr, Dtype::Val::uint8, n, c.k,
                         c.group,       c.bits,        c.mode};
    on_every_target([&] {
      for (const size_t rows : {size_t(1), size_t(3), most}) {
        std::vector<float> out(rows * n);
        quantized_matmul(x.data(), Dtype::Val::float32, c.k, rows, m, true, out.data(),
                         Dtype::Val::float32, n);
        for (size_t i = 0; i < out.size(); ++i) {
          double sum = 0;
          for (size_t j = 0; j < c.k; ++j)
            sum += double(x[i / n * c.k + j]) * back[i % n * c.k + j];
          ASSERT_NEAR(out[i], sum, 1e-4) << int(c.mode) << " " << rows;
        }
      }
    });
  }
}

TEST(Gguf, BlocksDecodeAsTheFormatSays) {
  // What the gguf package's own dequantisation gives at the first, sixth, a middle and the last
  // value.
  const struct {
    GgufType type;
    int halves[2];
    float values[4];
  } cases[] = {
      {GgufType::Q5_0, {0, -1}, {10.5f, 6.0f, -1.5f, -1.5f}},
      {GgufType::Q5_1, {0, 2}, {2.0f, 10.25f, 19.25f, 9.5f}},
      {GgufType::Q2_K, {80, 82}, {6.0f, 25.5f, -5.25f, -2.5f}},
      {GgufType::Q3_K, {108, -1}, {-60.75f, 40.5f, -1.5f, 7.5f}},
      {GgufType::Q4_K, {0, 2}, {237.25f, 237.25f, 85.75f, 422.5f}},
      {GgufType::Q5_K, {0, 2}, {52.5f, 214.5f, -6.25f, 229.25f}},
      {GgufType::Q6_K, {208, -1}, {-302.25f, -511.5f, 935.25f, 810.0f}},
  };
  for (const auto& c : cases) {
    const GgufBlock block = gguf_block(uint32_t(c.type));
    SCOPED_TRACE(block.name);
    const auto bytes = block_bytes(block.bytes, uint32_t(c.type), c.halves);
    std::vector<float> out(block.values);
    gguf_dequantize(c.type, bytes.data(), 1, out.data(), Dtype::Val::float32);
    const size_t n = block.values;
    EXPECT_EQ(out[0], c.values[0]);
    EXPECT_EQ(out[5], c.values[1]);
    EXPECT_EQ(out[n / 2 + 3], c.values[2]);
    EXPECT_EQ(out[n - 1], c.values[3]);
    std::vector<float16_t> half(n);
    gguf_dequantize(c.type, bytes.data(), 1, half.data(), Dtype::Val::float16);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(float(half[i]), float(float16_t(out[i])));
  }
  EXPECT_EQ(gguf_block(9999).name, nullptr);
}

TEST(Gguf, AffineGroupsHoldTheSameValues) {
  const size_t blocks = 5;
  for (const auto type : {GgufType::Q4_0, GgufType::Q4_1, GgufType::Q8_0}) {
    const GgufBlock block = gguf_block(uint32_t(type));
    const int bits = gguf_affine_bits(type);
    std::vector<uint8_t> bytes;
    for (size_t b = 0; b < blocks; ++b) {
      const auto one = block_bytes(block.bytes, uint32_t(b), {0, type == GgufType::Q4_1 ? 2 : -1});
      bytes.insert(bytes.end(), one.begin(), one.end());
    }
    std::vector<uint32_t> packed(packed_words(32 * blocks, bits));
    std::vector<float16_t> scales(blocks), biases(blocks);
    gguf_to_affine(type, bytes.data(), blocks, packed.data(), scales.data(), biases.data());
    std::vector<float> plain(32 * blocks);
    gguf_dequantize(type, bytes.data(), blocks, plain.data(), Dtype::Val::float32);
    for (size_t i = 0; i < plain.size(); ++i) {
      EXPECT_EQ(
          float(scales[i / 32]) * float(code_at(packed.data(), i, bits)) + float(biases[i / 32]),
          plain[i])
          << block.name << " " << i;
    }
  }
  EXPECT_THROW(gguf_to_affine(GgufType::Q6_K, nullptr, 0, nullptr, nullptr, nullptr),
               std::invalid_argument);
}

}  // namespace
}  // namespace mlx::core::cpu
