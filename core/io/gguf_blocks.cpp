// core/io/gguf_blocks.cpp: the block formats of GGUF files, to affine groups and to plain
// values.
#include "core/io/gguf_blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>

namespace mlx::core::io {
namespace {

using Byte = uint8_t;

float half_at(const Byte* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return core::detail::half_bits_to_float(bits);
}

// Each decoder writes the values of one block. Formulas with a minimum round as d*sc*q - dmin*m.

void decode_f32(const Byte* p, float* out) { std::memcpy(out, p, 4); }
void decode_f16(const Byte* p, float* out) { *out = half_at(p); }
void decode_bf16(const Byte* p, float* out) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  *out = core::detail::bfloat_bits_to_float(bits);
}

void decode_q4_0(const Byte* p, float* out) {
  const float d = half_at(p);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * float((p[2 + i] & 15) - 8);
    out[i + 16] = d * float((p[2 + i] >> 4) - 8);
  }
}

void decode_q4_1(const Byte* p, float* out) {
  const float d = half_at(p);
  const float m = half_at(p + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * float(p[4 + i] & 15) + m;
    out[i + 16] = d * float(p[4 + i] >> 4) + m;
  }
}

/** Five-bit codes: 16 bytes of nibbles, and a word of top bits before them. */
void codes_q5(const Byte* p, int* codes) {
  uint32_t top;
  std::memcpy(&top, p, 4);
  for (int i = 0; i < 16; ++i) {
    codes[i] = (p[4 + i] & 15) | int(top >> i & 1) << 4;
    codes[i + 16] = (p[4 + i] >> 4) | int(top >> (i + 16) & 1) << 4;
  }
}

void decode_q5_0(const Byte* p, float* out) {
  const float d = half_at(p);
  int codes[32];
  codes_q5(p + 2, codes);
  for (int i = 0; i < 32; ++i) out[i] = d * float(codes[i] - 16);
}

void decode_q5_1(const Byte* p, float* out) {
  const float d = half_at(p);
  const float m = half_at(p + 2);
  int codes[32];
  codes_q5(p + 4, codes);
  for (int i = 0; i < 32; ++i) out[i] = d * float(codes[i]) + m;
}

void decode_q8_0(const Byte* p, float* out) {
  const float d = half_at(p);
  for (int i = 0; i < 32; ++i) out[i] = d * float(int8_t(p[2 + i]));
}

void decode_q2_k(const Byte* p, float* out) {
  const Byte* scales = p;
  const Byte* codes = p + 16;
  const float d = half_at(p + 80);
  const float dmin = half_at(p + 82);
  for (int part = 0; part < 16; ++part) {  // 16 values each
    const Byte* from = codes + part / 8 * 32 + part % 2 * 16;
    const int shift = part % 8 / 2 * 2;
    const float scale = d * float(scales[part] & 15);
    const float min = dmin * float(scales[part] >> 4);
    for (int i = 0; i < 16; ++i) out[part * 16 + i] = scale * float(from[i] >> shift & 3) - min;
  }
}

void decode_q3_k(const Byte* p, float* out) {
  const Byte* high = p;
  const Byte* codes = p + 32;
  const Byte* packed = p + 96;
  const float d = half_at(p + 108);
  for (int part = 0; part < 16; ++part) {
    const int low = part < 8 ? packed[part] & 15 : packed[part - 8] >> 4;
    const int top = packed[8 + part % 4] >> (part / 4 * 2) & 3;
    const float scale = d * float((low | top << 4) - 32);
    const Byte* from = codes + part / 8 * 32 + part % 2 * 16;
    const Byte* bits = high + part % 2 * 16;
    const int shift = part % 8 / 2 * 2;
    for (int i = 0; i < 16; ++i) {
      const int code = (from[i] >> shift & 3) - ((bits[i] >> (part / 2) & 1) ? 0 : 4);
      out[part * 16 + i] = scale * float(code);
    }
  }
}

/** The 6-bit scale and minimum of 32 values in a block of Q4_K or Q5_K. */
void scale_min_k(int part, const Byte* packed, int& scale, int& min) {
  if (part < 4) {
    scale = packed[part] & 63;
    min = packed[part + 4] & 63;
  } else {
    scale = (packed[part + 4] & 15) | (packed[part - 4] >> 6) << 4;
    min = (packed[part + 4] >> 4) | (packed[part] >> 6) << 4;
  }
}

void decode_q4_k(const Byte* p, float* out) {
  const float d = half_at(p);
  const float dmin = half_at(p + 2);
  for (int part = 0; part < 8; ++part) {
    int scale, min;
    scale_min_k(part, p + 4, scale, min);
    const Byte* from = p + 16 + part / 2 * 32;
    const int shift = part % 2 * 4;
    const float s = d * float(scale);
    const float m = dmin * float(min);
    for (int i = 0; i < 32; ++i) out[part * 32 + i] = s * float(from[i] >> shift & 15) - m;
  }
}

void decode_q5_k(const Byte* p, float* out) {
  const float d = half_at(p);
  const float dmin = half_at(p + 2);
  const Byte* high = p + 16;
  for (int part = 0; part < 8; ++part) {
    int scale, min;
    scale_min_k(part, p + 4, scale, min);
    const Byte* from = p + 48 + part / 2 * 32;
    const int shift = part % 2 * 4;
    const float s = d * float(scale);
    const float m = dmin * float(min);
    for (int i = 0; i < 32; ++i) {
      const int code = (from[i] >> shift & 15) | (high[i] >> part & 1) << 4;
      out[part * 32 + i] = s * float(code) - m;
    }
  }
}

void decode_q6_k(const Byte* p, float* out) {
  const Byte* low = p;
  const Byte* high = p + 128;
  const Byte* scales = p + 192;
  const float d = half_at(p + 208);
  for (int part = 0; part < 8; ++part) {  // 32 values each, under two scales
    const int half = part / 4;
    const int within = part % 4;
    const Byte* from = low + half * 64 + within % 2 * 32;
    const Byte* bits = high + half * 32;
    for (int i = 0; i < 32; ++i) {
      const int code = (from[i] >> (within / 2 * 4) & 15) | (bits[i] >> (within * 2) & 3) << 4;
      const float scale = d * float(int8_t(scales[part * 2 + i / 16]));
      out[part * 32 + i] = scale * float(code - 32);
    }
  }
}

struct Format {
  GgufType type;
  GgufBlock block;
  void (*decode)(const Byte*, float*);
};

constexpr Format kFormats[] = {
    {GgufType::F32, {"F32", 1, 4}, decode_f32},
    {GgufType::F16, {"F16", 1, 2}, decode_f16},
    {GgufType::BF16, {"BF16", 1, 2}, decode_bf16},
    {GgufType::Q4_0, {"Q4_0", 32, 18}, decode_q4_0},
    {GgufType::Q4_1, {"Q4_1", 32, 20}, decode_q4_1},
    {GgufType::Q5_0, {"Q5_0", 32, 22}, decode_q5_0},
    {GgufType::Q5_1, {"Q5_1", 32, 24}, decode_q5_1},
    {GgufType::Q8_0, {"Q8_0", 32, 34}, decode_q8_0},
    {GgufType::Q2_K, {"Q2_K", 256, 84}, decode_q2_k},
    {GgufType::Q3_K, {"Q3_K", 256, 110}, decode_q3_k},
    {GgufType::Q4_K, {"Q4_K", 256, 144}, decode_q4_k},
    {GgufType::Q5_K, {"Q5_K", 256, 176}, decode_q5_k},
    {GgufType::Q6_K, {"Q6_K", 256, 210}, decode_q6_k},
};

const Format* format_of(uint32_t type) {
  for (const Format& f : kFormats) {
    if (uint32_t(f.type) == type) return &f;
  }
  return nullptr;
}

/** Sixteen bytes, the low nibbles of values 0..15 and the high ones of 16..31, as four affine
 * words. */
void nibbles_in_order(const Byte* p, uint32_t* words) {
  uint64_t half[2];
  std::memcpy(half, p, 16);
  const auto merge = [](uint64_t nibbles) {
    // A nibble in each byte: join neighbours into bytes, then the bytes into a word.
    nibbles = (nibbles | nibbles >> 4) & 0x00ff00ff00ff00ffull;
    nibbles = (nibbles | nibbles >> 8) & 0x0000ffff0000ffffull;
    return uint32_t(nibbles | nibbles >> 16);
  };
  constexpr uint64_t kLow = 0x0f0f0f0f0f0f0f0full;
  words[0] = merge(half[0] & kLow);
  words[1] = merge(half[1] & kLow);
  words[2] = merge(half[0] >> 4 & kLow);
  words[3] = merge(half[1] >> 4 & kLow);
}

float16_t half_of_bits(const Byte* p) {
  float16_t value;
  std::memcpy(&value, p, 2);
  return value;
}

}  // namespace

GgufBlock gguf_block(uint32_t type) {
  const Format* f = format_of(type);
  return f ? f->block : GgufBlock{nullptr, 0, 0};
}

int gguf_affine_bits(GgufType type) {
  if (type == GgufType::Q4_0 || type == GgufType::Q4_1) return 4;
  return type == GgufType::Q8_0 ? 8 : 0;
}

void gguf_to_affine(GgufType type, const void* blocks_in, size_t blocks, uint32_t* packed,
                    float16_t* scales, float16_t* biases) {
  if (gguf_affine_bits(type) == 0) {
    throw std::invalid_argument("[load_gguf] type " + std::to_string(uint32_t(type)) +
                                " has no affine form.");
  }
  const auto* bytes = static_cast<const Byte*>(blocks_in);
  for (size_t b = 0; b < blocks; ++b) {
    if (type == GgufType::Q8_0) {
      const Byte* p = bytes + b * 34;
      scales[b] = half_of_bits(p);
      biases[b] = float16_t(-128.0f * float(scales[b]));
      uint32_t words[8];
      std::memcpy(words, p + 2, 32);
      // Flipping the sign bit of a byte adds 128 to it.
      for (int i = 0; i < 8; ++i) packed[b * 8 + i] = words[i] ^ 0x80808080u;
    } else if (type == GgufType::Q4_0) {
      const Byte* p = bytes + b * 18;
      scales[b] = half_of_bits(p);
      biases[b] = float16_t(-8.0f * float(scales[b]));
      nibbles_in_order(p + 2, packed + b * 4);
    } else {
      const Byte* p = bytes + b * 20;
      scales[b] = half_of_bits(p);
      biases[b] = half_of_bits(p + 2);
      nibbles_in_order(p + 4, packed + b * 4);
    }
  }
}

void gguf_dequantize(GgufType type, const void* blocks_in, size_t blocks, void* out,
                     Dtype::Val dtype) {
  const Format* f = format_of(uint32_t(type));
  if (f == nullptr) {
    throw std::invalid_argument("[load_gguf] unknown block type " + std::to_string(uint32_t(type)) +
                                ".");
  }
  if (dtype != Dtype::Val::float32 && dtype != Dtype::Val::float16) {
    throw std::invalid_argument("[load_gguf] blocks decode to float32 or float16 only.");
  }
  const auto* bytes = static_cast<const Byte*>(blocks_in);
  const size_t values = f->block.values;
  if (dtype == Dtype::Val::float32) {
    auto* to = static_cast<float*>(out);
    for (size_t b = 0; b < blocks; ++b) f->decode(bytes + b * f->block.bytes, to + b * values);
    return;
  }
  auto* to = static_cast<float16_t*>(out);
  float block[256];
  for (size_t b = 0; b < blocks; ++b) {
    f->decode(bytes + b * f->block.bytes, block);
    for (size_t i = 0; i < values; ++i) to[b * values + i] = float16_t(block[i]);
  }
}

}  // namespace mlx::core::io
