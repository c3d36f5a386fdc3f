// backend/cpu/conv/layout.h: what the forms of a convolution share: its sizes, and patches.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/prim/convolution.h"

namespace mlx::core::cpu {

constexpr int64_t kPatchBytes = 256 * 1024;  // of a block, so that it stays in L2

/** The sizes of one call, and where values of x lie. */
struct ConvLayout {
  ConvLayout(const ConvolutionGeometry& geometry, const array& x,
             const std::vector<int>& kernel_sizes, const Shape& out)
      : g(geometry), kernel(kernel_sizes), spatial(kernel_sizes.size()), item(x.itemsize()) {
    channels = x.shape(-1);
    group_channels = channels / g.groups;
    in.assign(x.shape().begin() + 1, x.shape().end() - 1);
    result.assign(out.begin() + 1, out.end() - 1);
    step.resize(spatial);
    int64_t step_bytes = channels * item;
    for (size_t d = spatial; d-- > 0;) {
      step[d] = step_bytes;
      step_bytes *= in[d];
    }
    image_bytes = step_bytes;
    for (int k : kernel) taps *= k;
    for (int64_t n : result) positions *= n;
  }

  const ConvolutionGeometry& g;
  const std::vector<int>& kernel;
  size_t spatial;
  int64_t item;
  int64_t channels, group_channels;
  std::vector<int64_t> in, result;
  std::vector<int64_t> step;  // bytes between neighbours along a spatial axis
  int64_t image_bytes;
  int64_t taps = 1;
  int64_t positions = 1;  // of one image's result

  /** The value of x along axis d that tap t of position i meets, or -1. */
  int64_t source(size_t d, int64_t i, int64_t t) const {
    if (g.flip) t = kernel[d] - 1 - t;
    const int64_t at = i * g.stride[d] + t * g.kernel_dilation[d] - g.pad_lo[d];
    if (at < 0) return -1;
    if (g.input_dilation[d] == 1) return at < in[d] ? at : -1;
    return at % g.input_dilation[d] == 0 && at / g.input_dilation[d] < in[d]
               ? at / g.input_dilation[d]
               : -1;
  }

  /** Sets index to the coordinates of position p. */
  void unravel(int64_t p, const std::vector<int64_t>& sizes, std::vector<int64_t>& index) const {
    for (size_t d = spatial; d-- > 0;) {
      index[d] = p % sizes[d];
      p /= sizes[d];
    }
  }
};

/** Writes patches, one row of taps * group_channels a position, of positions [begin, end) of all
 * images. */
class Patches {
 public:
  Patches(const ConvLayout& layout, const char* x)
      : l_(layout), x_(x), position_(layout.spatial), outer_(layout.spatial) {
    const size_t last = l_.spatial - 1;
    // Taps of the last axis that follow each other in memory are copied at once.
    runs_ = l_.g.kernel_dilation[last] == 1 && l_.g.input_dilation[last] == 1 && !l_.g.flip &&
            l_.g.groups == 1;
  }

  void write(int64_t begin, int64_t end, int64_t group, char* to) {
    const size_t last = l_.spatial - 1;
    const int64_t row_taps = l_.kernel[last];
    const int64_t value = l_.group_channels * l_.item;
    for (int64_t p = begin; p < end; ++p) {
      const char* image = x_ + p / l_.positions * l_.image_bytes + group * value;
      l_.unravel(p % l_.positions, l_.result, position_);
      std::fill(outer_.begin(), outer_.end(), 0);
      for (int64_t outer = 0; outer < l_.taps / row_taps; ++outer) {
        const char* row = image;
        for (size_t d = 0; d < last && row; ++d) {
          const int64_t at = l_.source(d, position_[d], outer_[d]);
          row = at < 0 ? nullptr : row + at * l_.step[d];
        }
        to = row ? write_row(row, position_[last], value, to) : zeros(row_taps * value, to);
        for (size_t d = last; d-- > 0;) {
          if (++outer_[d] < l_.kernel[d]) break;
          outer_[d] = 0;
        }
      }
    }
  }

  /** The same of one tap alone: rows of group_channels. */
  void write_tap(int64_t begin, int64_t end, int64_t group, const std::vector<int64_t>& tap,
                 char* to) {
    const int64_t value = l_.group_channels * l_.item;
    l_.unravel(begin % l_.positions, l_.result, position_);
    for (int64_t p = begin; p < end; ++p, to += value) {
      const char* from = x_ + p / l_.positions * l_.image_bytes + group * value;
      for (size_t d = 0; d < l_.spatial && from; ++d) {
        const int64_t at = l_.source(d, position_[d], tap[d]);
        from = at < 0 ? nullptr : from + at * l_.step[d];
      }
      if (from) {
        std::memcpy(to, from, size_t(value));
      } else {
        std::memset(to, 0, size_t(value));
      }
      for (size_t d = l_.spatial; d-- > 0;) {
        if (++position_[d] < l_.result[d]) break;
        position_[d] = 0;
      }
    }
  }

 private:
  static char* zeros(int64_t bytes, char* to) {
    std::memset(to, 0, size_t(bytes));
    return to + bytes;
  }

  char* write_row(const char* row, int64_t i, int64_t value, char* to) const {
    const size_t last = l_.spatial - 1;
    const int64_t n = l_.kernel[last];
    if (runs_) {
      const int64_t first = i * l_.g.stride[last] - l_.g.pad_lo[last];
      const int64_t skip = std::clamp<int64_t>(-first, 0, n);
      const int64_t stop = std::clamp<int64_t>(l_.in[last] - first, skip, n);
      to = zeros(skip * value, to);
      std::memcpy(to, row + (first + skip) * value, size_t((stop - skip) * value));
      return zeros((n - stop) * value, to + (stop - skip) * value);
    }
    for (int64_t t = 0; t < n; ++t) {
      const int64_t at = l_.source(last, i, t);
      if (at < 0) {
        to = zeros(value, to);
      } else {
        std::memcpy(to, row + at * l_.step[last], size_t(value));
        to += value;
      }
    }
    return to;
  }

  const ConvLayout& l_;
  const char* x_;
  std::vector<int64_t> position_, outer_;
  bool runs_;
};

/** float32: true if the result can be made from rows of the input where they lie, and then it is.
 */
bool convolve_rows(const ConvLayout& l, const array& x, const array& w, array& out);

/** The gradient of weights, for float32 and float64: true if products over lines of the input
 * serve, and then it is made. */
bool gradient_by_lines(const ConvLayout& l, const array& x, const array& cotangent, array& out);

}  // namespace mlx::core::cpu
