// backend/cpu/tape/transpose.cpp
#include "backend/cpu/tape/transpose.h"

#include <algorithm>

#include "backend/cpu/parallel.h"

namespace mlx::core::cpu {

namespace {

// Elements a side: long enough pieces of a row for few page walks, small enough for L1.
template <class T>
constexpr int64_t kBlockOf = sizeof(T) == 8 ? 32 : 64;

// out[j, i] = in[i, j] for a block: both sides touch whole cache lines.
template <class T>
void copy_block(char* out, int64_t out_row, const char* in, int64_t in_row, int64_t rows,
                int64_t cols) {
  T tile[kBlockOf<T>][kBlockOf<T>];
  for (int64_t i = 0; i < cols; ++i) {
    const T* from = reinterpret_cast<const T*>(in + i * in_row);
    // The same part of the block to come.
    const char* later = in + (i + kBlockOf<T>)*in_row;
    for (int64_t j = 0; j < rows * static_cast<int64_t>(sizeof(T)); j += 64)
      __builtin_prefetch(later + j, 0, 3);
    for (int64_t j = 0; j < rows; ++j) tile[j][i] = from[j];
  }
  for (int64_t j = 0; j < rows; ++j) {
    std::copy_n(tile[j], cols, reinterpret_cast<T*>(out + j * out_row));
  }
}

template <class T>
void run(const Space& space, int across) {
  const Lane& in = space.lanes[0];
  const Lane& out = space.lanes[1];
  constexpr int64_t kBlock = kBlockOf<T>;
  int inner = static_cast<int>(space.shape.size()) - 1;
  int64_t rows = space.shape[across], cols = space.shape[inner];
  int64_t row_blocks = (rows + kBlock - 1) / kBlock, col_blocks = (cols + kBlock - 1) / kBlock;
  int64_t others = space.size / (rows * cols);
  // A chunk is one strip of blocks: output rows of one block's height.
  parallel_for(others * row_blocks, [&](int64_t chunk) {
    int64_t rest = chunk / row_blocks, j = chunk % row_blocks * kBlock;
    const char* from = in.base + j * in.strides[across];
    char* to = out.base + j * out.strides[across];
    for (int d = inner - 1; d >= 0; --d) {
      if (d == across) continue;
      from += rest % space.shape[d] * in.strides[d];
      to += rest % space.shape[d] * out.strides[d];
      rest /= space.shape[d];
    }
    for (int64_t b = 0; b < col_blocks; ++b) {
      int64_t i = b * kBlock;
      copy_block<T>(to + i * out.strides[inner], out.strides[across], from + i * in.strides[inner],
                    in.strides[inner], std::min(kBlock, rows - j), std::min(kBlock, cols - i));
    }
  });
}

}  // namespace

bool try_transpose(const Space& space) {
  const Lane& in = space.lanes[0];
  const Lane& out = space.lanes[1];
  int inner = static_cast<int>(space.shape.size()) - 1;
  if (inner < 1 || out.strides[inner] != out.itemsize || in.strides[inner] == in.itemsize ||
      in.strides[inner] == 0 || in.itemsize != out.itemsize) {
    return false;
  }
  for (int d = 0; d < inner; ++d) {
    if (in.strides[d] != in.itemsize || space.shape[d] < 8 || space.shape[inner] < 8) continue;
    switch (in.itemsize) {
      case 1:
        run<uint8_t>(space, d);
        break;
      case 2:
        run<uint16_t>(space, d);
        break;
      case 4:
        run<uint32_t>(space, d);
        break;
      default:
        run<uint64_t>(space, d);
        break;
    }
    return true;
  }
  return false;
}

}  // namespace mlx::core::cpu
