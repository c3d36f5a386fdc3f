// backend/cpu/conv/convolution.cpp: which form a convolution takes: rows of the input where they
// lie, a channel each, or products over blocks of patches that stay in cache.
#include <algorithm>

#include "backend/cpu/conv/layout.h"
#include "backend/cpu/fast/scratch.h"
#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/parallel.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kDotChannels = 32;  // of a group, from which bfloat16's own products win

/** Channels of their own for every output: a product and a sum a tap, without any patches. */
template <class T, class Acc>
void each_channel(const ConvLayout& l, const T* x, const T* w, int64_t images, T* out) {
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

bool run_each_channel(const ConvLayout& l, const array& x, const array& w, array& out) {
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

array as_float32(const array& a) {
  array wide(a.shape(), float32, nullptr, {});
  allocate(wide);
  copy_into(a, wide);
  wide.set_status(array::available);
  return wide;
}

/**
 * Half floats by float32 rows: true if the result could be made so, and then it is. Sums are
 * float32's, rounded once. bfloat16 has dot products of its own, which win over the two
 * conversions where patches have long runs and no zeros between values.
 */
bool convolve_wide_rows(const ConvLayout& l, const array& x, const array& w, array& out) {
  if (x.dtype() != float16 && x.dtype() != bfloat16) return false;
  const bool spread = std::any_of(l.g.input_dilation.begin(), l.g.input_dilation.end(),
                                  [](int dilation) { return dilation != 1; });
  if (x.dtype() == bfloat16 && l.group_channels >= kDotChannels && !spread) return false;
  const array wide_x = as_float32(x);
  const ConvLayout wide(l.g, wide_x, l.kernel, out.shape());
  array result(out.shape(), float32, nullptr, {});
  allocate(result);
  if (!convolve_rows(wide, wide_x, as_float32(w), result)) return false;
  copy_into(result, out);
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
  const ConvLayout l(g, x, kernel, out.shape());
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
  if (!plain || l.group_channels == 1) {
    if (convolve_rows(l, x, w, out) || convolve_wide_rows(l, x, w, out)) return;
  }
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

const RegisterKernel<Convolution> convolution_kernel{Device::cpu, &run_convolution};

}  // namespace

}  // namespace mlx::core::cpu
