// backend/cpu/conv/gradient.cpp: gradients of weights, as products over blocks of positions.
#include "backend/cpu/conv/layout.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/parallel.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

/** The gradient of weights with a channel each: products of values summed, a tap a task. */
template <class T>
void each_channel_gradient(const ConvLayout& l, const T* x, const T* cotangent, int64_t images,
                           T* out) {
  const std::vector<int64_t> taps(l.kernel.begin(), l.kernel.end());
  const int64_t channels = l.channels;
  const int64_t row = l.result.back();
  parallel_for(l.taps, [&](int64_t t) {
    std::vector<int64_t> tap(l.spatial), position(l.spatial);
    l.unravel(t, taps, tap);
    // Rows are summed apart first, so that long sums lose less.
    std::vector<T> total(static_cast<size_t>(channels)), sum(static_cast<size_t>(channels));
    for (int64_t p = 0; p < images * l.positions; p += row) {
      const char* from = reinterpret_cast<const char*>(x) + p / l.positions * l.image_bytes;
      l.unravel(p % l.positions, l.result, position);
      for (size_t d = 0; d + 1 < l.spatial && from; ++d) {
        const int64_t at = l.source(d, position[d], tap[d]);
        from = at < 0 ? nullptr : from + at * l.step[d];
      }
      if (!from) continue;
      std::fill(sum.begin(), sum.end(), T(0));
      for (int64_t i = 0; i < row; ++i) {
        const int64_t at = l.source(l.spatial - 1, i, tap.back());
        if (at < 0) continue;
        const T* values = reinterpret_cast<const T*>(from) + at * channels;
        const T* slopes = cotangent + (p + i) * channels;
        T* sums = sum.data();
        for (int64_t c = 0; c < channels; ++c) sums[c] += values[c] * slopes[c];
      }
      for (int64_t c = 0; c < channels; ++c) total[c] += sum[c];
    }
    for (int64_t c = 0; c < channels; ++c) out[c * l.taps + t] = total[c];
  });
}

/**
 * sum over positions [begin, end) of cotangent^T patches, for one group: m x n values into one half
 * of `sums`. Blocks are summed in the two halves in turn, since a product's addend may not be its
 * result. fill(begin, end, to) writes patches of n values. Returns the half that holds the sum.
 */
template <class Fill>
char* sum_of_blocks(Dtype dtype, int64_t m, int64_t n, int64_t begin, int64_t end, int64_t block,
                    const char* cotangent, int64_t cotangent_row, char* patches, char* sums,
                    const Fill& fill) {
  const int64_t item = size_of(dtype);
  char* done = nullptr;
  for (int64_t at = begin; at < end; at += block) {
    const int64_t stop = std::min(end, at + block);
    fill(at, stop, patches);
    GemmArgs args;
    args.dtype = dtype;
    args.m = m;
    args.n = n;
    args.k = stop - at;
    args.a.data = cotangent + at * cotangent_row * item;
    args.a.row_stride = 1;
    args.a.col_stride = cotangent_row;
    args.b.data = patches;
    args.b.row_stride = n;
    args.b.col_stride = 1;
    char* to = done == sums ? sums + m * n * item : sums;
    args.c = to;
    if (done) {
      args.beta = 1;
      args.d.data = done;
      args.d.row_stride = n;
      args.d.col_stride = 1;
    }
    gemm(args);
    done = to;
  }
  return done;
}

/** Each tap of each group is a product of its own. */
void gradient_by_taps(const ConvLayout& l, const array& x, const array& cotangent, array& out) {
  const std::vector<int64_t> taps(l.kernel.begin(), l.kernel.end());
  const int64_t m = out.shape(0) / l.g.groups, n = l.group_channels;
  const int64_t rows = x.shape(0) * l.positions;
  const int64_t block = std::clamp<int64_t>(2 * kPatchBytes / (n * l.item), 64, 8192);
  parallel_for(l.taps * l.g.groups, [&](int64_t task) {
    static thread_local Scratch scratch;
    const int64_t group = task % l.g.groups, tap = task / l.g.groups;
    std::vector<int64_t> index(l.spatial);
    l.unravel(tap, taps, index);
    auto* sums = static_cast<char*>(scratch.get(size_t((2 * m + block) * n * l.item)));
    Patches source(l, x.data<char>());
    const char* total = sum_of_blocks(
        out.dtype(), m, n, 0, rows, block, cotangent.data<char>() + group * m * l.item,
        out.shape(0), sums + 2 * m * n * l.item, sums, [&](int64_t begin, int64_t end, char* to) {
          source.write_tap(begin, end, group, index, to);
        });
    for (int64_t o = 0; o < m; ++o) {
      std::memcpy(out.data<char>() + (((group * m + o) * l.taps + tap) * n) * l.item,
                  total + o * n * l.item, size_t(n * l.item));
    }
  });
}

/** Few channels: patches of all taps at once, and the positions in kParts parts, added at the end.
 */
template <class T>
void gradient_by_positions(const ConvLayout& l, const array& x, const array& cotangent,
                           array& out) {
  constexpr int64_t kParts = 8;
  const int64_t m = out.shape(0) / l.g.groups, n = l.taps * l.group_channels;
  const int64_t rows = x.shape(0) * l.positions;
  const int64_t part = (rows + kParts - 1) / kParts;
  const int64_t parts = (rows + part - 1) / part;
  const int64_t block = std::clamp<int64_t>(kPatchBytes / (n * l.item), 64, 1024);
  std::vector<T> sums(size_t(l.g.groups * parts * m * n));
  parallel_for(parts * l.g.groups, [&](int64_t task) {
    static thread_local Scratch scratch;
    const int64_t group = task / parts, begin = task % parts * part;
    auto* memory = static_cast<char*>(scratch.get(size_t((2 * m + block) * n * l.item)));
    Patches source(l, x.data<char>());
    const char* total = sum_of_blocks(
        out.dtype(), m, n, begin, std::min(rows, begin + part), block,
        cotangent.data<char>() + group * m * l.item, out.shape(0), memory + 2 * m * n * l.item,
        memory,
        [&](int64_t from, int64_t to, char* where) { source.write(from, to, group, where); });
    std::memcpy(sums.data() + task * m * n, total, size_t(m * n * l.item));
  });
  T* to = out.data<T>();
  for (int64_t group = 0; group < l.g.groups; ++group, to += m * n) {
    const T* from = sums.data() + group * parts * m * n;
    std::copy(from, from + m * n, to);
    for (int64_t p = 1; p < parts; ++p) {
      for (int64_t i = 0; i < m * n; ++i) to[i] += from[p * m * n + i];
    }
  }
}

void run_weight_gradient(const ConvolutionWeightGradient& p, const std::vector<array>& inputs,
                         std::vector<array>& outputs) {
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  const array x = row_contiguous(inputs[0]);
  const array cotangent = row_contiguous(inputs[1]);
  if (x.size() == 0 || cotangent.size() == 0) {
    std::memset(out.data<char>(), 0, out.nbytes());
    return;
  }
  const ConvolutionGeometry& g = p.geometry();
  const std::vector<int>& kernel = p.kernel();
  const ConvLayout l(g, x, kernel, cotangent.shape());
  const bool own = l.group_channels == 1 && out.shape(0) == l.channels;
  const int64_t values = int64_t(out.size());
  // Groups share their lines, and a row of taps fills a vector.
  const bool short_rows = l.g.groups == 1 || l.kernel.back() * l.group_channels < 16;
  const bool few = l.group_channels < 16 && short_rows && l.taps > 1 && values <= (1 << 18);
  if (out.dtype() == float32 && own) {
    each_channel_gradient(l, x.data<float>(), cotangent.data<float>(), x.shape(0),
                          out.data<float>());
  } else if (out.dtype() == float64 && own) {
    each_channel_gradient(l, x.data<double>(), cotangent.data<double>(), x.shape(0),
                          out.data<double>());
  } else if (out.dtype() == float32 && few) {
    gradient_by_positions<float>(l, x, cotangent, out);
  } else if (out.dtype() == float64 && few) {
    gradient_by_positions<double>(l, x, cotangent, out);
  } else if (!gradient_by_lines(l, x, cotangent, out)) {
    gradient_by_taps(l, x, cotangent, out);
  }
}

const RegisterKernel<ConvolutionWeightGradient> gradient_kernel{Device::cpu, &run_weight_gradient};

}  // namespace

}  // namespace mlx::core::cpu
