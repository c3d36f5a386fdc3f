// backend/cpu/gather.cpp: Gather and GatherAxis. Indices are read in blocks that stay in L1, turned
// into offsets, checked, and then used; slices without gaps are copied whole.
#include <cstring>

#include "backend/cpu/parallel.h"
#include "backend/cpu/walk.h"
#include "core/copy.h"
#include "core/prim/indexing.h"

namespace mlx::core::cpu {

namespace {

constexpr size_t kBlock = 256;           // indices whose offsets are computed at once
constexpr size_t kGrainBytes = 1 << 15;  // least output of a parallel chunk

size_t grain(size_t bytes_each) {
  return std::max<size_t>(1, kGrainBytes / std::max<size_t>(1, bytes_each));
}

/** Copies the positions of walk (operand 0: src) to dst, one after another. */
template <typename U>
void copy_slice(const U* src, U* dst, Walk<1>& walk) {
  int64_t n = walk.inner_size(), stride = walk.inner_stride(0);
  for (size_t done = 0; done < walk.size(); done += n, walk.advance(n)) {
    const U* from = src + walk.offset(0);
    if (stride == 1) {
      std::memcpy(dst + done, from, n * sizeof(U));
    } else {
      for (int64_t i = 0; i < n; ++i) dst[done + i] = from[i * stride];
    }
  }
}

void gather(const Gather& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& src = inputs[0];
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  const Shape& sizes = p.slice_sizes();
  std::vector<array> indices;
  std::vector<IndexedAxis> axes;
  std::vector<AddOffsets> adders;
  for (size_t i = 1; i < inputs.size(); ++i) {
    int ax = p.axes()[i - 1];
    indices.push_back(row_contiguous(inputs[i]));
    adders.push_back(add_offsets_for(inputs[i].dtype()));
    axes.push_back({ax, src.shape(ax), src.shape(ax) - sizes[ax], src.strides(ax)});
  }
  const Walk<1> slice(sizes.data(), sizes.size(), {src.strides().data()});
  size_t slice_n = slice.size(), count = out.size() / slice_n;
  BadIndex bad;
  dispatch_itemsize(out.itemsize(), [&](auto tag) {
    using U = std::remove_pointer_t<decltype(tag)>;
    const U* from = src.data<U>();
    U* to = out.data<U>();
    parallel_range(count, grain(slice_n * sizeof(U)), [&](size_t begin, size_t end) {
      Walk<1> walk = slice;
      int64_t offsets[kBlock];
      for (size_t b = begin; b < end; b += kBlock) {
        size_t n = std::min(kBlock, end - b);
        std::fill_n(offsets, n, 0);
        for (size_t k = 0; k < indices.size(); ++k) {
          adders[k](indices[k].data<char>() + b * indices[k].itemsize(), 1, n, axes[k], offsets,
                    bad);
        }
        U* dst = to + b * slice_n;
        if (slice_n == 1) {
          for (size_t i = 0; i < n; ++i) dst[i] = from[offsets[i]];
        } else {
          for (size_t i = 0; i < n; ++i, dst += slice_n) copy_slice(from + offsets[i], dst, walk);
        }
      }
    });
  });
  bad.raise("gather");
}

/**
 * Single elements along the last axis: `along` of them, and indices one after the other, for each
 * position of rows (operand 0: src). Rows may be short, so a block holds as many as fit.
 */
template <typename U>
void gather_elements(const U* from, U* to, const Walk<2>& rows, size_t along, const array& indices,
                     AddOffsets add, const IndexedAxis& axis, BadIndex& bad) {
  parallel_range(rows.size() * along, grain(sizeof(U)), [&](size_t begin, size_t end) {
    Walk<2> row = rows;
    row.seek(begin / along);
    int64_t offsets[kBlock];
    size_t j = begin % along;
    for (size_t t = begin; t < end;) {
      const size_t n = std::min(kBlock, end - t);
      for (size_t i = 0; i < n;) {
        const size_t m = std::min(n - i, along - j);
        std::fill_n(offsets + i, m, row.offset(0));
        i += m, j += m;
        if (j == along) j = 0, row.next();
      }
      add(indices.data<char>() + t * indices.itemsize(), 1, n, axis, offsets, bad);
      for (size_t i = 0; i < n; ++i) to[t + i] = from[offsets[i]];
      t += n;
    }
  });
}

void gather_axis(const GatherAxis& p, const std::vector<array>& inputs,
                 std::vector<array>& outputs) {
  const array& src = inputs[0];
  const array& indices = inputs[1];
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  size_t ax = p.axis(), ndim = out.ndim();
  IndexedAxis axis{p.axis(), src.shape(p.axis()), src.shape(p.axis()) - 1, src.strides(p.axis())};
  size_t along = indices.shape(p.axis());
  int64_t index_stride = indices.strides(p.axis());
  auto walk_over = [&](size_t first, size_t last) {
    return Walk<2>(out.shape().data() + first, last - first,
                   {src.strides().data() + first, indices.strides().data() + first});
  };
  const Walk<2> before = walk_over(0, ax), after = walk_over(ax + 1, ndim);
  const Walk<1> slice(out.shape().data() + ax + 1, ndim - ax - 1, {src.strides().data() + ax + 1});
  size_t inner = after.size();
  bool whole = after.constant(1);  // one index serves all positions after the axis
  AddOffsets add = add_offsets_for(indices.dtype());
  size_t index_size = indices.itemsize();
  const char* index_data = indices.data<char>();
  const array packed = inner == 1 ? row_contiguous(indices) : indices;
  BadIndex bad;

  dispatch_itemsize(out.itemsize(), [&](auto tag) {
    using U = std::remove_pointer_t<decltype(tag)>;
    const U* from = src.data<U>();
    U* to = out.data<U>();
    // A position of the parallel range is (before, along); it writes `inner` elements.
    if (inner == 1) return gather_elements(from, to, before, along, packed, add, axis, bad);
    parallel_range(before.size() * along, grain(inner * sizeof(U)), [&](size_t begin, size_t end) {
      Walk<2> outer = before, walk = after;
      Walk<1> run = slice;
      outer.seek(begin / along);
      int64_t offsets[kBlock];
      size_t j = begin % along;
      for (size_t t = begin; t < end;) {
        size_t n = std::min({kBlock, end - t, along - j});
        const U* base = from + outer.offset(0);
        const char* at =
            index_data + (outer.offset(1) + int64_t(j) * index_stride) * int64_t(index_size);
        U* dst = to + t * inner;
        if (whole) {
          std::fill_n(offsets, n, 0);
          add(at, index_stride, n, axis, offsets, bad);
          for (size_t i = 0; i < n; ++i, dst += inner) copy_slice(base + offsets[i], dst, run);
        } else {
          n = 1;
          for (size_t done = 0; done < inner;) {
            size_t m = std::min<size_t>(kBlock, walk.inner_left());
            std::fill_n(offsets, m, 0);
            add(at + walk.offset(1) * int64_t(index_size), walk.inner_stride(1), m, axis, offsets,
                bad);
            const U* row = base + walk.offset(0);
            int64_t stride = walk.inner_stride(0);
            for (size_t i = 0; i < m; ++i) dst[done + i] = row[offsets[i] + int64_t(i) * stride];
            done += m;
            walk.advance(m);
          }
        }
        t += n;
        j += n;
        if (j == along) {
          j = 0;
          outer.next();
        }
      }
    });
  });
  bad.raise("take_along_axis");
}

const RegisterKernel<Gather> gather_kernel{Device::cpu, &gather};
const RegisterKernel<GatherAxis> gather_axis_kernel{Device::cpu, &gather_axis};

}  // namespace

}  // namespace mlx::core::cpu
