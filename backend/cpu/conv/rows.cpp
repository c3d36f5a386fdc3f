// backend/cpu/conv/rows.cpp: convolutions of float32 without patches: the microkernel reads the
// input's rows where they lie.
#include "backend/cpu/ceil_div.h"
#include "backend/cpu/conv/layout.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/gemm/segments.h"
#include "backend/cpu/parallel.h"

namespace mlx::core::cpu {

namespace {

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
std::vector<RowsPlan> plans_of(const ConvLayout& l, int64_t n_all) {
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
void run_plan(const ConvLayout& l, const RowsPlan& p, const array& x, const RowsWeight& weight,
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
  const int64_t most = std::clamp<int64_t>(fit, 1, std::min<int64_t>(lines, 16));
  const int64_t pieces = ceil_div(lines, most), at_once = ceil_div(lines, pieces);
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

}  // namespace

bool convolve_rows(const ConvLayout& l, const array& x, const array& w, array& out) {
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

}  // namespace mlx::core::cpu
