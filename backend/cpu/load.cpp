// backend/cpu/load.cpp: Load and LoadGguf: bytes of files become arrays.
#include "core/prim/load.h"

#include <cstring>

#include "backend/cpu/parallel.h"
#include "backend/cpu/walk.h"
#include "core/copy.h"
#include "core/io/gguf_blocks.h"

namespace mlx::core::cpu {

namespace {

template <typename U>
U reversed(U v) {
  if constexpr (sizeof(U) == 2)
    return __builtin_bswap16(v);
  else if constexpr (sizeof(U) == 4)
    return __builtin_bswap32(v);
  else if constexpr (sizeof(U) == 8)
    return __builtin_bswap64(v);
  else
    return v;
}

void load(const Load& p, const std::vector<array>&, std::vector<array>& outputs) {
  array& out = outputs[0];
  allocate(out);
  const char* from = p.data();
  char* to = out.data<char>();
  parallel_range(out.nbytes(), 1 << 20, [&](size_t begin, size_t end) {
    std::memcpy(to + begin, from + begin, end - begin);
    if (out.dtype() == bool_) {
      for (size_t i = begin; i < end; ++i) to[i] = to[i] != 0;
    }
  });
  if (!p.swap_endianness()) return;
  // A complex number is two floats.
  dispatch_itemsize(out.dtype() == complex64 ? 4 : out.itemsize(), [&](auto tag) {
    using U = std::remove_pointer_t<decltype(tag)>;
    U* v = out.data<U>();
    parallel_range(out.nbytes() / sizeof(U), 1 << 16, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) v[i] = reversed(v[i]);
    });
  });
}

void load_gguf(const LoadGguf& p, const std::vector<array>&, std::vector<array>& outputs) {
  for (auto& out : outputs) allocate(out);
  auto type = static_cast<io::GgufType>(p.type());
  io::GgufBlock block = io::gguf_block(p.type());
  int bits = io::gguf_affine_bits(type);
  // Pieces of 2^14 values, whole blocks and words.
  parallel_range(
      p.blocks(), std::max<size_t>(1, (1 << 14) / block.values), [&](size_t begin, size_t end) {
        const char* from = p.data() + begin * block.bytes;
        if (outputs.size() == 3) {
          io::gguf_to_affine(type, from, end - begin, outputs[0].data<uint32_t>() + begin * bits,
                             outputs[1].data<float16_t>() + begin,
                             outputs[2].data<float16_t>() + begin);
        } else {
          io::gguf_dequantize(type, from, end - begin,
                              outputs[0].data<float16_t>() + begin * block.values,
                              Dtype::Val::float16);
        }
      });
}

const RegisterKernel<Load> load_kernel{Device::cpu, &load};
const RegisterKernel<LoadGguf> load_gguf_kernel{Device::cpu, &load_gguf};

}  // namespace

}  // namespace mlx::core::cpu
