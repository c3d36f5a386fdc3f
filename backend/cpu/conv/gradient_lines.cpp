// backend/cpu/conv/gradient_lines.cpp: gradients of weights from whole lines. Taps of the last axis
// follow each other in a line of the input, so the patches of its positions are rows of a matrix
// that overlap, and products read them where they lie.
#include <cmath>

#include "backend/cpu/ceil_div.h"
#include "backend/cpu/conv/layout.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kPositions = 1024;             // of a product, about
constexpr int64_t kMostSums = int64_t(1) << 24;  // values of all parts
constexpr int64_t kMostParts = 8;

/**
 * Lines of the input are padded to whole strides, and those of the cotangent by zeros to as many
 * positions: then all positions of some lines are evenly spaced. What is read behind the end of a
 * line meets a zero.
 */
template <class T>
class LineGradient {
 public:
  LineGradient(const ConvLayout& l, const T* x, const T* cotangent, int64_t images, int64_t outputs)
      : l_(l),
        x_(x),
        cotangent_(cotangent),
        groups_(l.g.groups),
        outputs_(outputs),
        m_(outputs / l.g.groups),
        last_(l.spatial - 1) {
    stride_ = l.g.stride[last_];
    width_ = l.result[last_];
    row_taps_ = l.kernel[last_];
    n_ = row_taps_ * l.group_channels;
    steps_ = ceil_div((width_ - 1) * stride_ + row_taps_, stride_);
    lines_ = images * (l.positions / width_);
    at_once_ = std::clamp<int64_t>(kPositions / steps_, 1, lines_);
    outer_ = l.taps / row_taps_;
    outer_kernel_.assign(l.kernel.begin(), l.kernel.end() - 1);
    outer_result_.assign(l.result.begin(), l.result.end() - 1);
  }

  void run(T* out) const {
    const int64_t blocks = ceil_div(lines_, at_once_), values = outer_ * outputs_ * n_;
    // The sums depend on the shapes alone.
    int64_t parts = std::min({kMostParts, blocks, std::max<int64_t>(2, kMostSums / values)});
    const int64_t each = ceil_div(blocks, parts);
    parts = ceil_div(blocks, each);
    static thread_local Scratch scratch;
    T* sums = static_cast<T*>(scratch.get(size_t(parts * values) * sizeof(T)));
    // A sum for each part, tap and group: those of a tap lie in the order of outputs.
    parallel_for(parts * outer_ * groups_, [&](int64_t task) {
      const int64_t group = task % groups_, tap = task / groups_ % outer_;
      const int64_t part = task / groups_ / outer_;
      sum_of_lines(part * each * at_once_, std::min(lines_, (part + 1) * each * at_once_), tap,
                   group, sums + task * m_ * n_);
    });
    const int64_t grain = std::max<int64_t>(1, 65536 / (outer_ * n_));
    parallel_range(outputs_, grain, [&](int64_t from, int64_t to) {
      for (int64_t o = from; o < to; ++o) {
        for (int64_t tap = 0; tap < outer_; ++tap) {
          T* row = out + (o * outer_ + tap) * n_;
          std::memcpy(row, sums + (tap * outputs_ + o) * n_, size_t(n_) * sizeof(T));
          for (int64_t p = 1; p < parts; ++p) {
            const T* more = sums + ((p * outer_ + tap) * outputs_ + o) * n_;
            for (int64_t i = 0; i < n_; ++i) row[i] += more[i];
          }
        }
      }
    });
  }

 private:
  /** The line of the input that a tap of the other axes meets from a line of the result, or null.
   */
  const T* source(int64_t line, const std::vector<int64_t>& tap, std::vector<int64_t>& at) const {
    const int64_t in_image = l_.positions / width_;
    const char* from = reinterpret_cast<const char*>(x_) + line / in_image * l_.image_bytes;
    int64_t rest = line % in_image;
    for (size_t d = last_; d-- > 0; rest /= outer_result_[d]) at[d] = rest % outer_result_[d];
    for (size_t d = 0; d < last_; ++d) {
      const int64_t i = l_.source(d, at[d], tap[d]);
      if (i < 0) return nullptr;
      from += i * l_.step[d];
    }
    return reinterpret_cast<const T*>(from);
  }

  /** `count` rows of `each` values, `apart` from one to the next, to where they lie together. */
  static void copy_rows(const T* from, int64_t apart, int64_t each, int64_t count, T* to) {
    if (apart == each) {
      std::memcpy(to, from, size_t(count * each) * sizeof(T));
      return;
    }
    for (int64_t r = 0; r < count; ++r, from += apart, to += each)
      for (int64_t i = 0; i < each; ++i) to[i] = from[i];
  }

  void sum_of_lines(int64_t begin, int64_t end, int64_t outer_tap, int64_t group, T* total) const {
    static thread_local Scratch scratch;
    const int64_t channels = l_.group_channels, padded = steps_ * stride_;
    const int64_t slopes_size = steps_ == width_ ? 0 : at_once_ * steps_ * m_;
    const int64_t values_size = (at_once_ * padded + row_taps_) * channels;
    T* values =
        static_cast<T*>(scratch.get(size_t(values_size + slopes_size + m_ * n_) * sizeof(T)));
    T* slopes = values + values_size;
    T* other = slopes + slopes_size;
    std::vector<int64_t> tap(last_), at(last_);
    for (size_t d = last_; d-- > 0; outer_tap /= outer_kernel_[d])
      tap[d] = outer_tap % outer_kernel_[d];
    const int64_t left = std::clamp<int64_t>(l_.g.pad_lo[last_], 0, padded);
    const int64_t skipped = left - l_.g.pad_lo[last_];  // values of a line before the first one met
    const int64_t count = std::clamp<int64_t>(l_.in[last_] - skipped, 0, padded - left);
    T* done = nullptr;
    for (int64_t line = begin; line < end; line += at_once_) {
      const int64_t lines = std::min(at_once_, end - line);
      T* to = values;
      for (int64_t i = 0; i < lines; ++i, to += padded * channels) {
        const T* from = source(line + i, tap, at);
        const int64_t here = from ? count : 0;
        std::fill_n(to, left * channels, T(0));
        if (here > 0) {
          copy_rows(from + skipped * l_.channels + group * channels, l_.channels, channels, here,
                    to + left * channels);
        }
        std::fill_n(to + (left + here) * channels, (padded - left - here) * channels, T(0));
      }
      std::fill_n(to, row_taps_ * channels, T(0));
      const T* cotangent = cotangent_ + line * width_ * outputs_ + group * m_;
      for (int64_t i = 0; i < lines && slopes_size > 0; ++i) {
        T* row = slopes + i * steps_ * m_;
        copy_rows(cotangent + i * width_ * outputs_, outputs_, m_, width_, row);
        std::fill_n(row + width_ * m_, (steps_ - width_) * m_, T(0));
      }
      GemmArgs args;
      args.dtype = std::is_same_v<T, float> ? float32 : float64;
      args.m = m_;
      args.n = n_;
      args.k = lines * steps_;
      args.a = {slopes_size > 0 ? slopes : cotangent, 1, slopes_size > 0 ? m_ : outputs_};
      args.b = {values, stride_ * channels, 1};
      args.c = done == total ? other : total;
      if (done) {
        args.beta = 1;
        args.d = {done, n_, 1};
      }
      gemm(args);
      done = static_cast<T*>(args.c);
    }
    if (done != total) std::memcpy(total, done, size_t(m_ * n_) * sizeof(T));
  }

  const ConvLayout& l_;
  const T* x_;
  const T* cotangent_;
  int64_t groups_, outputs_;
  int64_t m_, n_;  // of a group: outputs; values of a row of taps
  size_t last_;
  int64_t stride_, width_, row_taps_;
  int64_t steps_;            // positions of a padded line
  int64_t lines_, at_once_;  // of the result; of a product
  int64_t outer_;            // taps of the axes before the last
  std::vector<int64_t> outer_kernel_, outer_result_;
};

template <class T>
bool run(const ConvLayout& l, const array& x, const array& cotangent, array& out) {
  T* to = out.data<T>();
  LineGradient<T>(l, x.data<T>(), cotangent.data<T>(), x.shape(0), out.shape(0)).run(to);
  // An infinity that met a zero where it meets nothing would be a NaN.
  return std::all_of(to, to + out.size(), [](T v) { return std::isfinite(v); });
}

}  // namespace

bool gradient_by_lines(const ConvLayout& l, const array& x, const array& cotangent, array& out) {
  const size_t last = l.spatial - 1;
  const ConvolutionGeometry& g = l.g;
  if (g.flip || g.kernel_dilation[last] != 1 || g.input_dilation[last] != 1) return false;
  if (out.dtype() == float32) return run<float>(l, x, cotangent, out);
  if (out.dtype() == float64) return run<double>(l, x, cotangent, out);
  return false;
}

}  // namespace mlx::core::cpu
