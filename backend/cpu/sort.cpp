// backend/cpu/sort.cpp: Sort, ArgSort, Partition, ArgPartition.
//
// A row along the axis is loaded as unsigned keys of the same order. Long rows go through a radix
// sort (time does not depend on the values), short ones through std::sort, a few elements are
// ranked; positions travel with the keys, which makes any sort of them stable.
#include "core/prim/sort.h"
#include "backend/cpu/sort_keys.h"
#include "backend/cpu/walk.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

constexpr size_t kRankUpTo = 16;  // rows whose elements are all compared with each other
template <typename K>
constexpr size_t kRadixFrom = sizeof(K) == 8 ? 256 : 96;  // rows shorter than this: std::sort
constexpr size_t kSplitFrom = 1 << 16;  // longer rows are sorted by all threads together
constexpr int kSplit = 8;               // chunks of such a row
constexpr size_t kColumns = 8;          // rows loaded at once if they are not contiguous

/** Each element goes where as many are less than it: no branch depends on values. Stable. */
template <typename E>
void rank_sort(E* row, E* tmp, size_t n) {
  uint32_t rank[kRankUpTo] = {};
  for (size_t i = 1; i < n; ++i) {
    uint32_t mine = 0;
    for (size_t j = 0; j < i; ++j) {
      const bool less = row[i] < row[j];
      rank[j] += less;
      mine += !less;
    }
    rank[i] = mine;
  }
  for (size_t i = 0; i < n; ++i) tmp[rank[i]] = row[i];
  std::copy(tmp, tmp + n, row);
}

template <typename K>
void sort_keys(K* keys, K* tmp, size_t n, int chunks) {
  if (n <= kRankUpTo) {
    rank_sort(keys, tmp, n);
  } else if (n < kRadixFrom<K> && sizeof(K) > 1) {
    std::sort(keys, keys + n);
  } else {
    radix_sort(keys, tmp, n, 8 * sizeof(K), chunks, [](K k) { return k; });
  }
}

template <typename K>
void sort_keyed(Keyed<K>* rows, Keyed<K>* tmp, size_t n, int chunks) {
  if (n <= kRankUpTo) {
    rank_sort(rows, tmp, n);
  } else if (n < kRadixFrom<K>) {
    std::sort(rows, rows + n);
  } else if constexpr (sizeof(K) == 8) {
    radix_sort(rows, tmp, n, 64, chunks, [](const WideKey& e) { return e.key; });
  } else {
    radix_sort(rows, tmp, n, 8 * sizeof(K), chunks, [](uint64_t e) { return e >> 32; });
  }
}

/** The rows of an array along an axis: outer x inner of them, n elements inner apart. */
struct Rows {
  size_t n, inner, count;
  Rows(const array& a, int axis) : n(a.shape(axis)), inner(1) {
    for (size_t d = axis + 1; d < a.ndim(); ++d) inner *= a.shape(d);
    count = n == 0 ? 0 : a.size() / n;
  }
  size_t start(size_t row) const {
    return inner == 1 ? row * n : row / inner * inner * n + row % inner;
  }
};

/**
 * For groups of rows: load(element of E, source element, position), work(E* row, E* tmp, chunks),
 * store. Neighbouring rows are loaded together, so that memory is read in whole cache lines.
 */
template <typename E, typename T, typename O, typename Load, typename Work, typename Store>
void for_rows(const Rows& r, const T* in, O* out, bool splittable, Load load, Work work,
              Store store) {
  size_t columns = std::min(kColumns, r.inner);
  size_t groups_inner = (r.inner + columns - 1) / columns;
  size_t groups = r.count / std::max<size_t>(1, r.inner) * groups_inner;
  bool split = splittable && r.n >= kSplitFrom && groups < 4;
  auto body = [&](size_t begin, size_t end) {
    std::vector<E> buffer((columns + 1) * r.n);
    E* tmp = buffer.data() + columns * r.n;
    for (size_t g = begin; g < end; ++g) {
      size_t first = g / groups_inner * r.inner + g % groups_inner * columns;
      size_t w = std::min(columns, r.inner - g % groups_inner * columns);
      const T* from = in + r.start(first);
      O* to = out + r.start(first);
      if (r.inner == 1) {
        for (size_t j = 0; j < r.n; ++j) buffer[j] = load(from[j], j);
        work(buffer.data(), tmp, split ? kSplit : 1);
        for (size_t j = 0; j < r.n; ++j) to[j] = store(buffer[j], from, 1);
        continue;
      }
      for (size_t j = 0; j < r.n; ++j) {
        for (size_t c = 0; c < w; ++c) buffer[c * r.n + j] = load(from[j * r.inner + c], j);
      }
      for (size_t c = 0; c < w; ++c) work(buffer.data() + c * r.n, tmp, split ? kSplit : 1);
      for (size_t j = 0; j < r.n; ++j) {
        for (size_t c = 0; c < w; ++c) {
          to[j * r.inner + c] = store(buffer[c * r.n + j], from + c, r.inner);
        }
      }
    }
  };
  if (split) {
    body(0, groups);
  } else {
    parallel_range(groups, std::max<size_t>(1, 4096 / (columns * r.n)), body);
  }
}

/** Sorted or partitioned values. */
template <typename T, bool part>
void order_values(const array& in, array& out, int axis, size_t kth) {
  Rows r(in, axis);
  const T* src = in.data<T>();
  T* dst = out.data<T>();
  using K = KeyOf<T>;
  if constexpr (is_complex<T>) {
    auto load = [](T v, size_t j) { return keyed<K>(encode(v), uint32_t(j)); };
    auto work = [&](WideKey* row, WideKey* tmp, int chunks) {
      if constexpr (part)
        std::nth_element(row, row + kth, row + r.n);
      else
        sort_keyed<K>(row, tmp, r.n, chunks);
    };
    auto store = [](const WideKey& e, const T* row, size_t stride) {
      return row[e.position * stride];
    };
    for_rows<WideKey>(r, src, dst, !part, load, work, store);
  } else {
    auto load = [](T v, size_t) { return encode(v); };
    auto work = [&](K* row, K* tmp, int chunks) {
      if constexpr (part)
        std::nth_element(row, row + kth, row + r.n);
      else
        sort_keys(row, tmp, r.n, chunks);
    };
    auto store = [](K k, const T*, size_t) { return decode<T>(k); };
    for_rows<K>(r, src, dst, !part, load, work, store);
  }
}

/** Positions of the sorted or partitioned values. */
template <typename T, bool part>
void order_positions(const array& in, array& out, int axis, size_t kth) {
  Rows r(in, axis);
  using K = KeyOf<T>;
  using E = Keyed<K>;
  auto load = [](T v, size_t j) { return keyed<K>(encode<T, true>(v), uint32_t(j)); };
  auto work = [&](E* row, E* tmp, int chunks) {
    if constexpr (part)
      std::nth_element(row, row + kth, row + r.n);
    else
      sort_keyed<K>(row, tmp, r.n, chunks);
  };
  auto store = [](const E& e, const T*, size_t) { return position_of(e); };
  for_rows<E>(r, in.data<T>(), out.data<uint32_t>(), !part, load, work, store);
}

template <bool part, bool positions>
void order(const array& input, array& out, int axis, size_t kth) {
  array in = row_contiguous(input);
  allocate(out);
  if (out.size() == 0) return;
  // Bytes of bool have the order of its values.
  Dtype dtype = in.dtype() == bool_ ? uint8 : in.dtype();
  dispatch_all_types(dtype, [&](auto t) {
    using T = MLX_GET_TYPE(t);
    if constexpr (std::is_same_v<T, bool>)
      return;
    else if constexpr (positions)
      order_positions<T, part>(in, out, axis, kth);
    else
      order_values<T, part>(in, out, axis, kth);
  });
}

void sort(const Sort& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  order<false, false>(inputs[0], outputs[0], p.axis(), 0);
}
void argsort(const ArgSort& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  order<false, true>(inputs[0], outputs[0], p.axis(), 0);
}
void partition(const Partition& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  order<true, false>(inputs[0], outputs[0], p.axis(), p.kth());
}
void argpartition(const ArgPartition& p, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  order<true, true>(inputs[0], outputs[0], p.axis(), p.kth());
}

const RegisterKernel<Sort> sort_kernel{Device::cpu, &sort};
const RegisterKernel<ArgSort> argsort_kernel{Device::cpu, &argsort};
const RegisterKernel<Partition> partition_kernel{Device::cpu, &partition};
const RegisterKernel<ArgPartition> argpartition_kernel{Device::cpu, &argpartition};

}  // namespace

}  // namespace mlx::core::cpu
