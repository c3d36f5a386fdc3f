// backend/cpu/block_mm.cpp: products of segments of the inner axis, and of masked blocks.
#include <algorithm>
#include <cstring>

#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/parallel.h"
#include "core/copy.h"
#include "core/prim/gather_mm.h"
#include "mlx/dtype_utils.h"

namespace mlx::core::cpu {

namespace {

using Arrays = std::vector<array>;

GemmMatrix matrix(const array& a, int64_t offset = 0) {
  return {a.data<char>() + offset * static_cast<int64_t>(a.itemsize()), a.strides(-2),
          a.strides(-1), 0, nullptr};
}

/** Segments cut to [0, k). */
std::vector<std::pair<int64_t, int64_t>> segments_of(const array& given, int64_t k) {
  array flat = row_contiguous(given);
  std::vector<std::pair<int64_t, int64_t>> out(flat.size() / 2);
  for (size_t i = 0; i < out.size(); ++i) {
    const int32_t* at = flat.data<int32_t>() + 2 * i;
    out[i].first = std::clamp<int64_t>(at[0], 0, k);
    out[i].second = std::clamp<int64_t>(at[1], out[i].first, k);
  }
  return out;
}

void run_segmented(const SegmentedMM&, const Arrays& in, Arrays& outputs) {
  array& out = outputs[0];
  allocate(out);
  const array &a = in[0], &b = in[1];
  if (out.size() == 0) return;
  auto segments = segments_of(in[2], a.shape(1));
  GemmArgs args;
  args.dtype = out.dtype();
  args.m = a.shape(0);
  args.n = b.shape(1);
  const size_t each = static_cast<size_t>(args.m * args.n) * out.itemsize();
  auto one = [&](int64_t i) {
    auto [first, last] = segments[i];
    GemmArgs part = args;
    part.k = last - first;
    part.a = matrix(a, first * a.strides(1));
    part.b = matrix(b, first * b.strides(0));
    part.c = out.data<char>() + i * each;
    gemm(part);
  };
  // Many: one a thread; few: each is split.
  const int64_t count = static_cast<int64_t>(segments.size());
  if (count >= 16) {
    parallel_for(count, one);
  } else {
    for (int64_t i = 0; i < count; ++i) one(i);
  }
}

void run_segmented_rows(const SegmentedRows&, const Arrays& in, Arrays& outputs) {
  array& out = outputs[0];
  allocate(out);
  const array& r = in[0];
  array g = row_contiguous(in[1]);
  if (out.size() == 0) return;
  std::memset(out.data<char>(), 0, out.nbytes());
  auto segments = segments_of(in[2], r.shape(0));
  const size_t item = out.itemsize();
  GemmArgs args;
  args.dtype = out.dtype();
  args.n = g.shape(-1);
  args.k = g.shape(-2);
  std::vector<char> part;
  std::vector<char> taken(r.shape(0), 0);
  for (size_t i = 0; i < segments.size(); ++i) {
    auto [first, last] = segments[i];
    if (first == last) continue;
    args.m = last - first;
    args.a = matrix(r, first * r.strides(0));
    args.b = {g.data<char>() + i * args.k * args.n * item, args.n, 1, 0, nullptr};
    char* to = out.data<char>() + first * args.n * item;
    // Segments may overlap: what is there already is added.
    if (std::find(taken.begin() + first, taken.begin() + last, 1) != taken.begin() + last) {
      part.assign(to, to + args.m * args.n * item);
      args.beta = 1;
      args.d = {part.data(), args.n, 1, 0, nullptr};
    } else {
      args.beta = 0;
    }
    args.c = to;
    gemm(args);
    std::fill(taken.begin() + first, taken.begin() + last, 1);
  }
}

/** A mask, read by block: 0 where nothing is to be done, and the factor of a float mask. */
class BlockMask {
 public:
  BlockMask(const Arrays& in, int at) : there_(at >= 0) {
    if (!there_) return;
    boolean_ = in[at].dtype() == bool_;
    rows_ = in[at].shape(-2);
    cols_ = in[at].shape(-1);
    array flat = row_contiguous(in[at]);
    values_.resize(flat.size());
    if (boolean_) {
      for (size_t i = 0; i < values_.size(); ++i) values_[i] = flat.data<bool>()[i];
      return;
    }
    dispatch_float(flat, [&](const auto* from) {
      for (size_t i = 0; i < values_.size(); ++i) values_[i] = static_cast<double>(from[i]);
    });
  }
  /** A block that a boolean mask hides; a factor of 0 hides no NaN. */
  bool hidden(int64_t batch, int64_t r, int64_t c) const {
    return there_ && boolean_ && values_[(batch * rows_ + r) * cols_ + c] == 0;
  }
  double factor(int64_t batch, int64_t r, int64_t c) const {
    return there_ && !boolean_ ? values_[(batch * rows_ + r) * cols_ + c] : 1;
  }
  bool there() const { return there_; }

  template <class F>
  static void dispatch_float(const array& a, const F& f) {
    if (a.dtype() == float32) {
      f(a.data<float>());
    } else if (a.dtype() == float64) {
      f(a.data<double>());
    } else if (a.dtype() == float16) {
      f(a.data<float16_t>());
    } else {
      f(a.data<bfloat16_t>());
    }
  }

 private:
  bool there_;
  bool boolean_ = false;
  int64_t rows_ = 0, cols_ = 0;
  std::vector<double> values_;
};

/** Copies rows x cols elements, times a factor, to where rows are `to_row` apart. */
template <class T>
void scaled_copy(const T* from, int64_t row, int64_t col, int64_t rows, int64_t cols, double factor,
                 T* to, int64_t to_row) {
  using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      const T v = from[i * row + j * col];
      to[i * to_row + j] = factor == 1 ? v : T(A(v) * A(factor));
    }
  }
}

template <class T>
void masked_product(const BlockMaskedMM& p, const Arrays& in, array& out) {
  const array &a = in[0], &b = in[1];
  const BlockMask mask_out(in, p.input_of(0)), mask_a(in, p.input_of(1)), mask_b(in, p.input_of(2));
  const int64_t m = a.shape(-2), k = a.shape(-1), n = b.shape(-1), block = p.block();
  auto offsets = [](const array& x) {
    std::vector<int64_t> shape(x.shape().begin(), x.shape().end() - 2);
    std::vector<int64_t> strides(x.strides().begin(), x.strides().end() - 2);
    return batch_offsets(shape, strides);
  };
  const auto a_at = offsets(a), b_at = offsets(b);
  const int64_t tm = (m + block - 1) / block, tn = (n + block - 1) / block,
                tk = (k + block - 1) / block;
  const bool inner = mask_a.there() || mask_b.there();
  parallel_for(static_cast<int64_t>(a_at.size()) * tm * tn, [&](int64_t tile) {
    const int64_t e = tile / (tm * tn), i = tile / tn % tm, j = tile % tn;
    const int64_t rows = std::min(block, m - i * block), cols = std::min(block, n - j * block);
    T* c = out.data<T>() + e * m * n + i * block * n + j * block;
    const bool hidden = mask_out.hidden(e, i, j);
    GemmArgs args;
    args.dtype = out.dtype();
    args.m = rows;
    args.n = cols;
    args.c = c;
    args.c_row_stride = n;
    args.alpha = mask_out.factor(e, i, j);
    const T* from_a = a.data<T>() + a_at[e] + i * block * a.strides(-2);
    const T* from_b = b.data<T>() + b_at[e] + j * block * b.strides(-1);
    static thread_local std::vector<T> left, right;
    if (hidden) {
      args.k = 0;
    } else if (!inner) {
      args.k = k;
      args.a = {from_a, a.strides(-2), a.strides(-1), 0, nullptr};
      args.b = {from_b, b.strides(-2), b.strides(-1), 0, nullptr};
    } else {
      // The blocks that count, side by side.
      left.resize(block * k);
      right.resize(k * block);
      int64_t depth = 0;
      for (int64_t t = 0; t < tk; ++t) {
        if (!mask_a.hidden(e, i, t) && !mask_b.hidden(e, t, j))
          depth += std::min(block, k - t * block);
      }
      int64_t at = 0;
      for (int64_t t = 0; t < tk; ++t) {
        if (mask_a.hidden(e, i, t) || mask_b.hidden(e, t, j)) continue;
        const int64_t d = std::min(block, k - t * block);
        scaled_copy(from_a + t * block * a.strides(-1), a.strides(-2), a.strides(-1), rows, d,
                    mask_a.factor(e, i, t), left.data() + at, depth);
        scaled_copy(from_b + t * block * b.strides(-2), b.strides(-2), b.strides(-1), d, cols,
                    mask_b.factor(e, t, j), right.data() + at * cols, cols);
        at += d;
      }
      args.k = depth;
      args.a = {left.data(), depth, 1, 0, nullptr};
      args.b = {right.data(), cols, 1, 0, nullptr};
    }
    gemm(args);
  });
}

void run_block_masked(const BlockMaskedMM& p, const Arrays& in, Arrays& outputs) {
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  BlockMask::dispatch_float(out, [&](const auto* type) {
    masked_product<std::remove_cv_t<std::remove_pointer_t<decltype(type)>>>(p, in, out);
  });
}

const RegisterKernel<SegmentedMM> segmented_kernel{Device::cpu, &run_segmented};
const RegisterKernel<SegmentedRows> segmented_rows_kernel{Device::cpu, &run_segmented_rows};
const RegisterKernel<BlockMaskedMM> block_kernel{Device::cpu, &run_block_masked};

}  // namespace

}  // namespace mlx::core::cpu
