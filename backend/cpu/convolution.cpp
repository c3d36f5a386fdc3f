// backend/cpu/convolution.cpp: convolutions as matrix products over blocks of positions. A block's
// patches are laid out as rows that stay in cache; the whole matrix of patches never exists.
#include "core/prim/convolution.h"

#include <cstring>
#include <vector>

#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/gemm/segments.h"
#include "backend/cpu/parallel.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kPatchBytes = 256 * 1024;  // of a block, so that it stays in L2

/** The sizes of one call, and where values of x lie. */
struct Layout {
  Layout(const ConvolutionGeometry& geometry, const array& x, const std::vector<int>& kernel_sizes,
         const Shape& out)
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
  Patches(const Layout& layout, const char* x)
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

  const Layout& l_;
  const char* x_;
  std::vector<int64_t> position_, outer_;
  bool runs_;
};

/** Channels of their own for every output: a product and a sum a tap, without any patches. */
template <class T, class Acc>
void each_channel(const Layout& l, const T* x, const T* w, int64_t images, T* out) {
  const int64_t channels = l.channels;
  // Taps outermost, so that channels follow each other.
  std::vector<Acc> turned(size_t(l.taps * channels));
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t t = 0; t < l.taps; ++t) turned[t * channels + c] = Acc(w[c * l.taps + t]);
  }
  const std::vector<int64_t> kernel(l.kernel.begin(), l.kernel.end());
  const int64_t grain = std::max<int64_t>(1, 16384 / (channels * l.taps));
  parallel_range(images * l.positions, grain, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> position(l.spatial), tap(l.spatial);
    std::vector<Acc> sum(static_cast<size_t>(channels));
    for (int64_t p = begin; p < end; ++p) {
      const char* image = reinterpret_cast<const char*>(x) + p / l.positions * l.image_bytes;
      l.unravel(p % l.positions, l.result, position);
      std::fill(sum.begin(), sum.end(), Acc(0));
      for (int64_t t = 0; t < l.taps; ++t) {
        l.unravel(t, kernel, tap);
        const char* from = image;
        for (size_t d = 0; d < l.spatial && from; ++d) {
          const int64_t at = l.source(d, position[d], tap[d]);
          from = at < 0 ? nullptr : from + at * l.step[d];
        }
        if (!from) continue;
        const T* values = reinterpret_cast<const T*>(from);
        const Acc* weights = turned.data() + t * channels;
        for (int64_t c = 0; c < channels; ++c) sum[c] += Acc(values[c]) * weights[c];
      }
      for (int64_t c = 0; c < channels; ++c) out[p * channels + c] = T(sum[c]);
    }
  });
}

bool run_each_channel(const Layout& l, const array& x, const array& w, array& out) {
  if (l.group_channels != 1 || out.shape(-1) != l.channels) return false;
  const int64_t images = x.shape(0);
  switch (x.dtype().val()) {
    case Dtype::Val::float32:
      each_channel<float, float>(l, x.data<float>(), w.data<float>(), images, out.data<float>());
      return true;
    case Dtype::Val::float64:
      each_channel<double, double>(l, x.data<double>(), w.data<double>(), images,
                                   out.data<double>());
      return true;
    case Dtype::Val::float16:
      each_channel<float16_t, float>(l, x.data<float16_t>(), w.data<float16_t>(), images,
                                     out.data<float16_t>());
      return true;
    case Dtype::Val::bfloat16:
      each_channel<bfloat16_t, float>(l, x.data<bfloat16_t>(), w.data<bfloat16_t>(), images,
                                      out.data<bfloat16_t>());
      return true;
    default:
      return false;
  }
}

/** [groups, O/groups, K] as [groups, K, O/groups], so that products needn't turn it every time. */
array turned_weight(const array& w, int64_t groups, int64_t k) {
  const int64_t n = w.shape(0) / groups;
  array out({int(groups), int(k), int(n)}, w.dtype(), nullptr, {});
  allocate(out);
  array view({int(groups), int(k), int(n)}, w.dtype(), nullptr, {});
  make_view(w, view, Strides{n * k, 1, k});
  copy_into(view, out);
  return out;
}

/**
 * A convolution without holes in its input, over rows of the result: the whole one, or, where the
 * input is dilated, the positions of one phase, which only meet every so many taps.
 */
struct RowsPlan {
  std::vector<int64_t> kernel, stride, pad, dilation, result;  // by axis
  std::vector<int64_t> taps;  // where each tap's values begin in a row of the weight
  int64_t out_offset = 0;     // floats to the first result
  std::vector<int64_t> out_stride;

  bool empty() const { return taps.empty(); }
};

/** The plans of a call; none if it has no such form. */
std::vector<RowsPlan> plans_of(const Layout& l, int64_t n_all) {
  std::vector<int64_t> out_stride(l.spatial), phases(l.spatial), phase(l.spatial, 0);
  int64_t step = n_all, count = 1;
  for (size_t d = l.spatial; d-- > 0;) {
    out_stride[d] = step;
    step *= l.result[d];
    phases[d] = l.g.input_dilation[d];
    count *= phases[d];
    if (phases[d] > 1 && (l.g.stride[d] != 1 || l.g.kernel_dilation[d] != 1)) return {};
  }
  std::vector<RowsPlan> plans;
  for (int64_t c = 0; c < count; ++c) {
    l.unravel(c, phases, phase);
    RowsPlan plan;
    std::vector<int64_t> first(l.spatial);  // tap
    bool some = true;
    for (size_t d = 0; d < l.spatial; ++d) {
      const int64_t by = phases[d], r = phase[d], pad = l.g.pad_lo[d];
      // Position by q + r meets values of the input at taps t with (r + t - pad) % by == 0.
      first[d] = ((pad - r) % by + by) % by;
      const int64_t taps = first[d] < l.kernel[d] ? (l.kernel[d] - first[d] + by - 1) / by : 0;
      plan.kernel.push_back(taps);
      plan.stride.push_back(l.g.stride[d]);
      plan.dilation.push_back(l.g.kernel_dilation[d]);
      plan.pad.push_back(by == 1 ? pad : -((r + first[d] - pad) / by));
      plan.result.push_back(std::max<int64_t>(0, (l.result[d] - r + by - 1) / by));
      plan.out_offset += r * out_stride[d];
      plan.out_stride.push_back(by * out_stride[d]);
      some = some && taps > 0;
    }
    int64_t total = some ? 1 : 0;
    for (int64_t k : plan.kernel) total *= k;
    std::vector<int64_t> tap(l.spatial);
    for (int64_t t = 0; t < total; ++t) {
      l.unravel(t, plan.kernel, tap);
      int64_t at = 0;
      for (size_t d = 0; d < l.spatial; ++d) {
        int64_t i = first[d] + tap[d] * phases[d];
        if (l.g.flip) i = l.kernel[d] - 1 - i;
        at = at * l.kernel[d] + i;
      }
      plan.taps.push_back(at * l.group_channels);
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

/** Packed weights of a plan: [groups] panels, or [taps][channels] where each channel is its own. */
struct RowsWeight {
  const float* data;
  int64_t panel;  // floats of a group
  bool each_channel;
};

/**
 * Rows of the result are products with the input's rows where they lie, padded, a piece for each
 * tap (or for each run of taps that follow each other). Only the few input rows that a task needs
 * are copied.
 */
void run_plan(const Layout& l, const RowsPlan& p, const array& x, const RowsWeight& weight,
              array& out) {
  const size_t last = l.spatial - 1;
  const int64_t groups = l.g.groups, n_all = out.shape(-1), n = n_all / groups;
  const int64_t channels = l.channels, each = l.group_channels;
  const int64_t row_taps = p.kernel[last];
  const bool runs = p.dilation[last] == 1 && groups == 1;
  const int64_t length = weight.each_channel ? 1 : runs ? row_taps * each : each;

  // Rows of the last axis; before it an axis of lines, before that what is left.
  const bool lines_exist = l.spatial > 1;
  const size_t line = lines_exist ? last - 1 : 0;
  auto of_line = [&](const std::vector<int64_t>& v, int64_t none) {
    return lines_exist ? v[line] : none;
  };
  const int64_t width = p.result[last], stride = p.stride[last];
  const int64_t padded = (width - 1) * stride + (row_taps - 1) * p.dilation[last] + 1;
  const int64_t lines = of_line(p.result, 1), line_stride = of_line(p.stride, 1);
  const int64_t line_pad = of_line(p.pad, 0), line_taps = of_line(p.kernel, 1);
  const int64_t line_dilation = of_line(p.dilation, 1), in_lines = of_line(l.in, 1);
  int64_t planes = 1, layers = 1;  // of one image's result; taps of their axes
  std::vector<int64_t> plane_sizes, plane_taps;
  for (size_t d = 0; d + 2 < l.spatial; ++d) {
    planes *= p.result[d];
    layers *= p.kernel[d];
    plane_sizes.push_back(p.result[d]);
    plane_taps.push_back(p.kernel[d]);
  }
  if (width == 0 || lines == 0 || planes == 0) return;
  const int64_t row_floats = padded * channels;

  constexpr int64_t kFloats = 96 * 1024;  // of input rows, beside the weight in L2
  const int64_t reach = (line_taps - 1) * line_dilation + 1;
  const int64_t fit = (kFloats / (layers * row_floats) - reach) / line_stride + 1;
  const int64_t at_once = std::clamp<int64_t>(fit, 1, std::min<int64_t>(lines, 16));
  const int64_t pieces = (lines + at_once - 1) / at_once;
  const int64_t line_rows = (at_once - 1) * line_stride + reach;

  std::vector<int64_t> offsets;
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (int64_t t = 0; t < line_taps; ++t) {
      const int64_t at = (layer * line_rows + t * line_dilation) * row_floats;
      const int64_t parts = runs && !weight.each_channel ? 1 : row_taps;
      for (int64_t i = 0; i < parts; ++i) offsets.push_back(at + i * p.dilation[last] * channels);
    }
  }
  const float* image = x.data<float>();
  float* result = out.data<float>() + p.out_offset;
  const int64_t image_floats = l.image_bytes / l.item;
  const int64_t out_image = l.positions * n_all;
  const int64_t pad = p.pad[last];

  parallel_for(x.shape(0) * planes * pieces, [&](int64_t task) {
    static thread_local Scratch scratch;
    const int64_t piece = task % pieces, plane = task / pieces % planes;
    const int64_t n_image = task / pieces / planes;
    const int64_t first = piece * at_once, count = std::min(at_once, lines - first);
    float* rows = scratch.floats(static_cast<size_t>(layers * line_rows * row_floats));
    float* into = result + n_image * out_image + (lines_exist ? first * p.out_stride[line] : 0);

    std::vector<int64_t> at(plane_sizes.size()), tap(plane_sizes.size());
    int64_t rest = plane;
    for (size_t d = at.size(); d-- > 0; rest /= plane_sizes[d]) {
      at[d] = rest % plane_sizes[d];
      into += at[d] * p.out_stride[d];
    }
    const int64_t need = (count - 1) * line_stride + reach;
    for (int64_t layer = 0; layer < layers; ++layer) {
      rest = layer;
      for (size_t d = tap.size(); d-- > 0; rest /= plane_taps[d]) tap[d] = rest % plane_taps[d];
      const float* from = image + n_image * image_floats;
      for (size_t d = 0; d < at.size() && from; ++d) {
        const int64_t i = at[d] * p.stride[d] + tap[d] * p.dilation[d] - p.pad[d];
        from = i < 0 || i >= l.in[d] ? nullptr : from + i * l.step[d] / l.item;
      }
      for (int64_t r = 0; r < need; ++r) {
        float* to = rows + (layer * line_rows + r) * row_floats;
        const int64_t i = first * line_stride + r - line_pad;
        if (!from || i < 0 || i >= in_lines) {
          std::memset(to, 0, static_cast<size_t>(row_floats) * sizeof(float));
          continue;
        }
        const float* source = from + i * l.in[last] * channels;
        const int64_t left = std::clamp<int64_t>(pad, 0, padded);
        const int64_t stop = std::clamp<int64_t>(l.in[last] + pad, left, padded);
        std::memset(to, 0, static_cast<size_t>(left * channels) * sizeof(float));
        std::memcpy(to + left * channels, source + (left - pad) * channels,
                    static_cast<size_t>((stop - left) * channels) * sizeof(float));
        std::memset(to + stop * channels, 0,
                    static_cast<size_t>((padded - stop) * channels) * sizeof(float));
      }
    }
    SegmentedRows left{rows,
                       stride * channels,
                       line_stride * row_floats,
                       offsets.data(),
                       static_cast<int64_t>(offsets.size()),
                       length,
                       count,
                       width};
    const int64_t c_row = p.out_stride[last], c_line = lines_exist ? p.out_stride[line] : 0;
    if (weight.each_channel)
      return multiply_channels(left, weight.data, channels, into, c_row, c_line);
    for (int64_t group = 0; group < groups; ++group) {
      left.data = rows + group * each;
      multiply_segments(left, weight.data + group * weight.panel, n, into + group * n, c_row,
                        c_line);
    }
  });
}

/** float32: true if there is such a way, and then the result is there. */
bool run_rows(const Layout& l, const array& x, const array& w, array& out) {
  if (x.dtype() != float32) return false;
  const int64_t groups = l.g.groups, n_all = out.shape(-1), n = n_all / groups;
  const int64_t each = l.group_channels, k = l.taps * each;
  const bool own = each == 1 && n_all == l.channels;
  const bool runs = l.g.kernel_dilation[l.spatial - 1] == 1 && groups == 1;
  // A piece should be long enough to pay.
  if (!own && (runs ? l.kernel[l.spatial - 1] * each : each) < 8) return false;
  const std::vector<RowsPlan> plans = plans_of(l, n_all);
  if (plans.empty()) return false;
  for (const RowsPlan& p : plans) {
    if (!p.empty()) continue;
    std::memset(out.data<char>(), 0, out.nbytes());  // a phase that meets nothing
    break;
  }
  static thread_local Scratch scratch;
  for (const RowsPlan& p : plans) {
    if (p.empty()) continue;
    const int64_t taps = static_cast<int64_t>(p.taps.size());
    RowsWeight weight{nullptr, 0, own};
    if (own) {
      float* turned = scratch.floats(static_cast<size_t>(taps * l.channels));
      for (int64_t t = 0; t < taps; ++t) {
        for (int64_t c = 0; c < l.channels; ++c)
          turned[t * l.channels + c] = w.data<float>()[c * l.taps + p.taps[t]];
      }
      weight.data = turned;
    } else {
      weight.panel = packed_floats(taps * each, n);
      float* packed = scratch.floats(static_cast<size_t>(weight.panel * groups));
      for (int64_t group = 0; group < groups; ++group) {
        pack_right(w.data<float>() + group * n * k, k, p.taps.data(), taps, each, n,
                   packed + group * weight.panel);
      }
      weight.data = packed;
    }
    run_plan(l, p, x, weight, out);
  }
  return true;
}

void run_convolution(const Convolution& p, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  const array x = row_contiguous(inputs[0]);
  const array w = row_contiguous(inputs[1]);
  const ConvolutionGeometry& g = p.geometry();
  const std::vector<int> kernel(w.shape().begin() + 1, w.shape().end() - 1);
  const Layout l(g, x, kernel, out.shape());
  const int64_t k = l.taps * l.group_channels;
  if (k == 0 || x.size() == 0) {
    std::memset(out.data<char>(), 0, out.nbytes());
    return;
  }
  bool plain = l.taps == 1;
  for (size_t d = 0; d < l.spatial; ++d) {
    plain = plain && g.stride[d] == 1 && g.input_dilation[d] == 1 && g.pad_lo[d] == 0 &&
            g.pad_hi[d] == 0;
  }
  if ((!plain || l.group_channels == 1) && run_rows(l, x, w, out)) return;
  if (run_each_channel(l, x, w, out)) return;

  const int64_t n_all = out.shape(-1);
  GemmArgs base;
  base.dtype = out.dtype();
  base.n = n_all / g.groups;
  base.k = k;
  base.c_row_stride = n_all;
  const array turned = turned_weight(w, g.groups, k);
  base.b.row_stride = base.n;
  base.b.col_stride = 1;
  const auto* weight = turned.data<char>();
  auto* result = out.data<char>();
  const int64_t rows = x.shape(0) * l.positions;

  if (plain) {
    for (int64_t group = 0; group < g.groups; ++group) {
      GemmArgs args = base;
      args.m = rows;
      args.a.data = x.data<char>() + group * l.group_channels * l.item;
      args.a.row_stride = l.channels;
      args.a.col_stride = 1;
      args.b.data = weight + group * k * base.n * l.item;
      args.c = result + group * base.n * l.item;
      gemm(args);
    }
    return;
  }

  // Blocks depend on shapes alone, and so do the sums.
  const int64_t block = std::clamp<int64_t>(kPatchBytes / (k * l.item), 16, 1024);
  const int64_t blocks = (rows + block - 1) / block;
  parallel_for(blocks * g.groups, [&](int64_t task) {
    static thread_local Scratch scratch;
    const int64_t group = task % g.groups;
    const int64_t begin = task / g.groups * block;
    const int64_t end = std::min(rows, begin + block);
    auto* patches = static_cast<char*>(scratch.get(size_t(block * k * l.item)));
    Patches(l, x.data<char>()).write(begin, end, group, patches);
    GemmArgs args = base;
    args.m = end - begin;
    args.a.data = patches;
    args.a.row_stride = k;
    args.a.col_stride = 1;
    args.b.data = weight + group * k * base.n * l.item;
    args.c = result + (begin * n_all + group * base.n) * l.item;
    gemm(args);
  });
}

/** The gradient of weights with a channel each: products of values summed, a tap a task. */
template <class T>
void each_channel_gradient(const Layout& l, const T* x, const T* cotangent, int64_t images,
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
void gradient_by_taps(const Layout& l, const array& x, const array& cotangent, array& out) {
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
void gradient_by_positions(const Layout& l, const array& x, const array& cotangent, array& out) {
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
  const Layout l(g, x, kernel, cotangent.shape());
  const bool own = l.group_channels == 1 && out.shape(0) == l.channels;
  const int64_t values = int64_t(out.size());
  const bool few = l.group_channels < 16 && l.taps > 1 && values <= (1 << 18);
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
  } else {
    gradient_by_taps(l, x, cotangent, out);
  }
}

const RegisterKernel<Convolution> convolution_kernel{Device::cpu, &run_convolution};
const RegisterKernel<ConvolutionWeightGradient> gradient_kernel{Device::cpu, &run_weight_gradient};

}  // namespace

}  // namespace mlx::core::cpu
