// backend/cpu/scatter.cpp: Scatter, ScatterAxis and MaskedScatter.
//
// Updates are applied in order; threads own disjoint parts of the output, so the order in which an
// element sees its updates, and with it every bit of the result, does not depend on their number.
#include <cstring>

#include "backend/cpu/parallel.h"
#include "backend/cpu/prefetch.h"
#include "backend/cpu/tape/kernels.h"
#include "backend/cpu/walk.h"
#include "core/copy.h"
#include "core/prim/indexing.h"

namespace mlx::core::cpu {

namespace {

using Op = Scatter::ReduceType;

template <Op op, typename T>
T combine(T a, T b) {
  if constexpr (op == Scatter::None) {
    return b;
  } else if constexpr (op == Scatter::Max) {
    return is_nan(b) || less_than(a, b) ? (is_nan(a) ? a : b) : a;
  } else if constexpr (op == Scatter::Min) {
    return is_nan(b) || less_than(b, a) ? (is_nan(a) ? a : b) : a;
  } else if constexpr (std::is_same_v<T, bool>) {
    return op == Scatter::Sum ? a || b : a && b;
  } else if constexpr (std::is_integral_v<T>) {
    // Wraps around without undefined behaviour.
    return static_cast<T>(op == Scatter::Sum ? uint64_t(a) + uint64_t(b)
                                             : uint64_t(a) * uint64_t(b));
  } else {
    return op == Scatter::Sum ? T(a + b) : T(a * b);
  }
}

/** How updates are combined with elements, for one dtype and op. */
struct Combine {
  // dst[i * stride] with updates[i]
  void (*run)(char* dst, int64_t stride, const char* updates, size_t n);
  // base[offsets[i]] with updates[i]
  void (*at)(char* base, const int64_t* offsets, const char* updates, size_t n);
};

template <Op op, typename T>
void combine_run(char* dst, int64_t stride, const char* updates, size_t n) {
  T* d = reinterpret_cast<T*>(dst);
  const T* u = reinterpret_cast<const T*>(updates);
  if (stride == 1) {
    for (size_t i = 0; i < n; ++i) d[i] = combine<op>(d[i], u[i]);
  } else {
    for (size_t i = 0; i < n; ++i)
      d[int64_t(i) * stride] = combine<op>(d[int64_t(i) * stride], u[i]);
  }
}

template <Op op, typename T>
void combine_at(char* base, const int64_t* offsets, const char* updates, size_t n) {
  T* d = reinterpret_cast<T*>(base);
  const T* u = reinterpret_cast<const T*>(updates);
  for (size_t i = 0; i < n; ++i) d[offsets[i]] = combine<op>(d[offsets[i]], u[i]);
}

Combine combine_for(Op op, Dtype dtype) {
  Combine c{};
  if (op == Scatter::None) {
    dispatch_itemsize(dtype.size(), [&](auto tag) {
      using U = std::remove_pointer_t<decltype(tag)>;
      c = {&combine_run<Scatter::None, U>, &combine_at<Scatter::None, U>};
    });
    return c;
  }
  dispatch_all_types(dtype, [&](auto t) {
    using T = MLX_GET_TYPE(t);
    switch (op) {
      case Scatter::Max:
        c = {&combine_run<Scatter::Max, T>, &combine_at<Scatter::Max, T>};
        break;
      case Scatter::Min:
        c = {&combine_run<Scatter::Min, T>, &combine_at<Scatter::Min, T>};
        break;
      case Scatter::Sum:
        c = {&combine_run<Scatter::Sum, T>, &combine_at<Scatter::Sum, T>};
        break;
      default:
        c = {&combine_run<Scatter::Prod, T>, &combine_at<Scatter::Prod, T>};
        break;
    }
  });
  return c;
}

/** The tape's loop for updates that follow each other, which is as wide as the machine. */
Kernel loop_for(Op op, Dtype dtype) {
  if (dtype == bool_ || op == Scatter::None) return nullptr;
  const EwOp row = op == Scatter::Max   ? EwOp::Maximum
                   : op == Scatter::Min ? EwOp::Minimum
                   : op == Scatter::Sum ? EwOp::Add
                                        : EwOp::Multiply;
  return find_kernel({row, dtype.val(), dtype.val(), {0, 1, 0}});
}

array converted(const array& a, Dtype dtype) {
  array out(a.shape(), dtype, nullptr, {});
  allocate(out);
  copy_into(a, out);
  out.set_status(array::available);
  return out;
}

/** out gets memory with the value of src, src's own where it may be written over. */
void copy_or_donate(const array& src, array& out) {
  allocate_or_donate(src, out);
  if (out.data<char>() != src.data<char>()) copy_into(src, out);
}

/**
 * Calls f(out, updates) with out holding src. Sums and products of 16-bit floats that are many for
 * the size of the output go through a float32 copy, so that small terms are not lost.
 */
template <typename F>
void accumulate(const array& src, const array& updates, array& out, bool arithmetic, F&& f) {
  bool half = out.dtype() == float16 || out.dtype() == bfloat16;
  if (!half || !arithmetic || updates.size() < out.size() / 8) {
    copy_or_donate(src, out);
    return f(out, row_contiguous(updates));
  }
  array wide = converted(src, float32);
  f(wide, converted(updates, float32));
  allocate(out);
  copy_into(wide, out);
}

/**
 * Updates of whole rows, by parts of the output: a thread reads its updates from end to end. Only
 * where there are enough of both, and no part has more than its share twice over.
 */
class RowParts {
 public:
  RowParts(const std::vector<int64_t>& offsets, int64_t row, size_t size) {
    const int64_t rows = size / row, parts = 4 * num_threads();
    if (parts == 4 || rows < 4 * parts || row < 64 || offsets.size() * row < (1 << 15)) return;
    auto part_of = [&](int64_t offset) { return offset / row * parts / rows; };
    std::vector<size_t> first(parts + 1, 0);
    for (int64_t offset : offsets) {
      if (offset % row != 0) return;
      ++first[part_of(offset) + 1];
    }
    for (int64_t i = 0; i < parts; ++i) {
      if (first[i + 1] > 2 * offsets.size() / parts + 8) return;
      first[i + 1] += first[i];
    }
    order_.resize(offsets.size());
    std::vector<size_t> at(first.begin(), first.end() - 1);
    for (size_t k = 0; k < offsets.size(); ++k) order_[at[part_of(offsets[k])]++] = k;
    first_ = std::move(first);
  }
  bool good() const { return !first_.empty(); }
  int64_t count() const { return static_cast<int64_t>(first_.size()) - 1; }
  /** f(update, the one after it) for the updates of a part, in their order. */
  template <class F>
  void each(int64_t part, F&& f) const {
    for (size_t i = first_[part], end = first_[part + 1]; i < end; ++i)
      f(order_[i], order_[std::min(i + 1, end - 1)]);
  }

 private:
  std::vector<size_t> order_, first_;
};

struct Run {
  int64_t dst, updates, size;
};

void scatter(const Scatter& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& src = inputs.front();
  const array& updates = inputs.back();
  bool arithmetic = p.reduce_type() == Scatter::Sum || p.reduce_type() == Scatter::Prod;
  Shape sizes(updates.shape().end() - src.ndim(), updates.shape().end());
  BadIndex bad;
  // The offsets come first: a bad index must not leave a donated input half written.
  size_t slice_n = 1;
  for (auto n : sizes) slice_n *= n;
  size_t count = updates.size() / std::max<size_t>(1, slice_n);
  std::vector<int64_t> offsets(count, 0);
  Strides strides = row_major_strides(src.shape());
  for (size_t k = 1; k + 1 < inputs.size(); ++k) {
    array indices = row_contiguous(inputs[k]);
    int ax = p.axes()[k - 1];
    IndexedAxis axis{ax, src.shape(ax), src.shape(ax) - sizes[ax], strides[ax]};
    AddOffsets add = add_offsets_for(indices.dtype());
    parallel_range(count, 1 << 14, [&](size_t begin, size_t end) {
      add(indices.data<char>() + begin * indices.itemsize(), 1, end - begin, axis, &offsets[begin],
          bad);
    });
  }
  bad.raise("scatter");

  accumulate(src, updates, outputs[0], arithmetic, [&](array& out, const array& from) {
    Combine c = combine_for(p.reduce_type(), out.dtype());
    char* dst = out.data<char>();
    const char* upd = from.data<char>();
    size_t item = out.itemsize();
    if (slice_n == 1) return c.at(dst, offsets.data(), upd, count);
    const Kernel loop = loop_for(p.reduce_type(), out.dtype());
    auto combine = [&](char* to, int64_t stride, const char* with, size_t n) {
      if (stride == 1 && loop && n >= 32) return loop(to, to, with, nullptr, n, 0);
      c.run(to, stride, with, n);
    };
    const Walk<1> slice(sizes.data(), sizes.size(), {strides.data()});
    if (slice.inner_size() == int64_t(slice_n) && slice.inner_stride(0) == 1) {
      if (const RowParts parts(offsets, slice_n, out.size()); parts.good()) {
        return parallel_for(parts.count(), [&](int64_t part) {
          const size_t bytes = slice_n * item;
          parts.each(part, [&](size_t k, size_t next) {
            prefetch_ahead(upd + next * bytes, bytes, 0);
            prefetch_ahead(dst + offsets[next] * item, bytes, 0);
            combine(dst + offsets[k] * item, 1, upd + k * bytes, slice_n);
          });
        });
      }
    }
    // Each thread takes a stretch of every update: long ones, for updates are read row by row.
    size_t grain =
        std::max<size_t>((1 << 14) / std::max<size_t>(1, count), slice_n / (2 * num_threads()));
    grain = (std::max<size_t>(grain, 64) + 15) / 16 * 16;
    parallel_range(slice_n, grain, [&](size_t begin, size_t end) {
      Walk<1> walk = slice;
      walk.seek(begin);
      std::vector<Run> runs;
      for (size_t i = begin; i < end;) {
        int64_t n = std::min<int64_t>(walk.inner_left(), end - i);
        runs.push_back({walk.offset(0), int64_t(i), n});
        i += n;
        walk.advance(n);
      }
      int64_t stride = slice.inner_stride(0);
      for (size_t k = 0; k < count; ++k) {
        for (const Run& r : runs) {
          combine(dst + (offsets[k] + r.dst) * int64_t(item), stride,
                  upd + (k * slice_n + r.updates) * item, r.size);
        }
      }
    });
  });
}

void scatter_axis(const ScatterAxis& p, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  const array& src = inputs[0];
  const array& updates = inputs[2];
  array indices = row_contiguous(inputs[1]);
  bool sum = p.reduce_type() == ScatterAxis::Sum;
  int ax = p.axis();
  int64_t size = src.shape(ax);
  size_t along = indices.shape(ax), inner = 1;
  for (size_t d = ax + 1; d < src.ndim(); ++d) inner *= src.shape(d);
  size_t outer = indices.size() / (along * inner);

  std::vector<int64_t> offsets(indices.size(), 0);
  BadIndex bad;
  IndexedAxis axis{ax, size, size - 1, int64_t(inner)};
  AddOffsets add = add_offsets_for(indices.dtype());
  parallel_range(indices.size(), 1 << 14, [&](size_t begin, size_t end) {
    add(indices.data<char>() + begin * indices.itemsize(), 1, end - begin, axis, &offsets[begin],
        bad);
  });
  bad.raise(sum ? "scatter_add_axis" : "put_along_axis");

  accumulate(src, updates, outputs[0], sum, [&](array& out, const array& from) {
    Combine c = combine_for(sum ? Scatter::Sum : Scatter::None, out.dtype());
    size_t item = out.itemsize();
    constexpr size_t kSegment = 256;
    size_t segments = (inner + kSegment - 1) / kSegment;
    size_t work = along * std::min(inner, kSegment);
    // A segment is a stretch of positions after the axis; it sees its updates in order.
    parallel_range(outer * segments, std::max<size_t>(1, (1 << 13) / work),
                   [&](size_t begin, size_t end) {
                     int64_t at[kSegment];
                     for (size_t t = begin; t < end; ++t) {
                       size_t o = t / segments, first = (t % segments) * kSegment;
                       size_t n = std::min(kSegment, inner - first);
                       char* base = out.data<char>() + (o * size * inner + first) * item;
                       const char* upd = from.data<char>() + (o * along * inner + first) * item;
                       const int64_t* off = offsets.data() + o * along * inner + first;
                       if (inner == 1) {
                         c.at(base, off, upd, along);
                         continue;
                       }
                       for (size_t j = 0; j < along; ++j, off += inner, upd += inner * item) {
                         for (size_t i = 0; i < n; ++i) at[i] = off[i] + int64_t(i);
                         c.at(base, at, upd, n);
                       }
                     }
                   });
  });
}

void masked_scatter(const MaskedScatter&, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  array mask = row_contiguous(inputs[1]);
  array src = row_contiguous(inputs[2]);
  array& out = outputs[0];
  size_t total = mask.size();
  const bool* m = mask.data<bool>();
  // Where each chunk begins in src follows from the counts of those before it.
  constexpr size_t kChunk = 1 << 14;
  size_t chunks = (total + kChunk - 1) / kChunk;
  std::vector<size_t> start(chunks + 1, 0);
  parallel_range(chunks, 4, [&](size_t begin, size_t end) {
    for (size_t c = begin; c < end; ++c) {
      size_t n = 0, last = std::min(total, (c + 1) * kChunk);
      for (size_t i = c * kChunk; i < last; ++i) n += m[i];
      start[c + 1] = n;
    }
  });
  for (size_t c = 0; c < chunks; ++c) start[c + 1] += start[c];
  if (start[chunks] > src.size()) {
    throw std::runtime_error(
        "[masked_scatter] Source does not have enough elements for mask: it has " +
        std::to_string(src.size()) + ", the mask selects " + std::to_string(start[chunks]) + ".");
  }
  copy_or_donate(inputs[0], out);
  dispatch_itemsize(out.itemsize(), [&](auto tag) {
    using U = std::remove_pointer_t<decltype(tag)>;
    U* dst = out.data<U>();
    const U* from = src.data<U>();
    parallel_range(chunks, 4, [&](size_t begin, size_t end) {
      for (size_t c = begin; c < end; ++c) {
        size_t k = start[c], last = std::min(total, (c + 1) * kChunk);
        for (size_t i = c * kChunk; i < last; ++i) {
          if (m[i]) dst[i] = from[k++];
        }
      }
    });
  });
}

const RegisterKernel<Scatter> scatter_kernel{Device::cpu, &scatter};
const RegisterKernel<ScatterAxis> scatter_axis_kernel{Device::cpu, &scatter_axis};
const RegisterKernel<MaskedScatter> masked_scatter_kernel{Device::cpu, &masked_scatter};

}  // namespace

}  // namespace mlx::core::cpu
