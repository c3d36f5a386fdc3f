// backend/cpu/gather_mm.cpp: products of chosen matrices. Rows that meet the same matrix are
// brought together and multiplied at once, so that each matrix is read once.
#include "core/prim/gather_mm.h"

#include <cstring>
#include <numeric>

#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/quant/quant.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

using Arrays = std::vector<array>;

/** Element offsets of the matrices of a. */
std::vector<int64_t> matrix_offsets(const array& a) {
  std::vector<int64_t> shape(a.shape().begin(), a.shape().end() - 2);
  std::vector<int64_t> strides(a.strides().begin(), a.strides().end() - 2);
  return batch_offsets(shape, strides);
}

/** Indices in [0, n), those below 0 counted from the end. */
std::vector<int64_t> checked_indices(const char* op, const array& given, int64_t n) {
  array flat = row_contiguous(given);
  std::vector<int64_t> out(flat.size());
  for (size_t i = 0; i < out.size(); ++i) {
    int64_t at = flat.data<int32_t>()[i];
    if (at < -n || at >= n) {
      throw std::out_of_range(std::string("[") + op + "] index " + std::to_string(at) +
                              " is out of bounds for " + std::to_string(n) + " matrices.");
    }
    out[i] = at < 0 ? at + n : at;
  }
  return out;
}

/** Items by the matrix they meet: those of group g are order[first[g]] .. order[first[g + 1]]. */
struct Groups {
  std::vector<int64_t> order, first, matrix;
};

Groups group_by(const std::vector<int64_t>& rhs, int64_t matrices) {
  std::vector<int64_t> count(matrices + 1, 0);
  for (int64_t e : rhs) ++count[e + 1];
  Groups g;
  for (int64_t e = 0; e < matrices; ++e) {
    if (count[e + 1] > 0) {
      g.first.push_back(count[e]);
      g.matrix.push_back(e);
    }
    count[e + 1] += count[e];
  }
  g.first.push_back(static_cast<int64_t>(rhs.size()));
  g.order.resize(rhs.size());
  for (size_t i = 0; i < rhs.size(); ++i) g.order[count[rhs[i]]++] = static_cast<int64_t>(i);
  return g;
}

// Matrices of more rows than this gain nothing from being joined.
constexpr int64_t kManyRows = 64;

/** Calls work(group, rows of x, distance of its rows in bytes, rows of out) for each group, where
 * rows that don't lie evenly spaced are copied together first, and out's back after. */
template <class F>
void for_each_group(const Groups& groups, const std::vector<const char*>& x, int64_t m,
                    size_t x_bytes, char* out, size_t out_bytes, const F& work) {
  std::vector<char> packed, result;
  for (size_t g = 0; g + 1 < groups.first.size(); ++g) {
    const int64_t begin = groups.first[g], n = groups.first[g + 1] - begin;
    const int64_t* order = groups.order.data() + begin;
    bool in_place = true;
    int64_t step = m == 1 && n > 1 ? x[order[1]] - x[order[0]] : static_cast<int64_t>(m * x_bytes);
    for (int64_t i = 1; in_place && i < n; ++i) {
      in_place = order[i] == order[0] + i && x[order[i]] - x[order[i - 1]] == step;
    }
    // A kernel takes rows any whole number of elements apart, forwards.
    if (in_place && step >= 0) {
      work(g, x[order[0]], m == 1 ? step : static_cast<int64_t>(x_bytes), n * m,
           out + order[0] * m * out_bytes);
      continue;
    }
    packed.resize(n * m * x_bytes);
    result.resize(n * m * out_bytes);
    parallel_range(n, std::max<int64_t>(1, 65536 / (m * x_bytes + 1)), [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i)
        std::memcpy(packed.data() + i * m * x_bytes, x[order[i]], m * x_bytes);
    });
    work(g, packed.data(), static_cast<int64_t>(x_bytes), n * m, result.data());
    parallel_range(n, std::max<int64_t>(1, 65536 / (m * out_bytes + 1)), [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) {
        std::memcpy(out + order[i] * m * out_bytes, result.data() + i * m * out_bytes,
                    m * out_bytes);
      }
    });
  }
}

void run_gather_mm(const GatherMM&, const Arrays& in, Arrays& outputs) {
  array& out = outputs[0];
  allocate(out);
  const array& b = in[1];
  auto a_at = matrix_offsets(in[0]), b_at = matrix_offsets(b);
  auto lhs = checked_indices("gather_mm", in[2], static_cast<int64_t>(a_at.size()));
  auto rhs = checked_indices("gather_mm", in[3], static_cast<int64_t>(b_at.size()));
  if (out.size() == 0) return;
  GemmArgs args;
  args.dtype = out.dtype();
  args.m = in[0].shape(-2);
  args.k = in[0].shape(-1);
  args.n = b.shape(-1);
  args.b = {b.data<void>(), b.strides(-2), b.strides(-1), 0, nullptr};
  Groups groups = group_by(rhs, static_cast<int64_t>(b_at.size()));
  if (groups.matrix.size() == rhs.size() || args.m > kManyRows || args.k == 0) {
    std::vector<int64_t> a_offsets(lhs.size()), b_offsets(rhs.size());
    for (size_t i = 0; i < lhs.size(); ++i) {
      a_offsets[i] = a_at[lhs[i]];
      b_offsets[i] = b_at[rhs[i]];
    }
    args.batch = static_cast<int64_t>(lhs.size());
    args.a = {in[0].data<void>(), in[0].strides(-2), in[0].strides(-1), 0, a_offsets.data()};
    args.b.offsets = b_offsets.data();
    args.c = out.data<void>();
    gemm(args);
    return;
  }
  array a = row_contiguous(in[0]);
  const size_t item = out.itemsize(), matrix = args.m * args.k * item;
  std::vector<const char*> rows(lhs.size());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = a.data<char>() + lhs[i] * matrix;
  for_each_group(groups, rows, args.m, args.k * item, out.data<char>(), args.n * item,
                 [&](size_t g, const char* x, int64_t step, int64_t count, char* to) {
                   GemmArgs one = args;
                   one.m = count;
                   one.a = {x, step / static_cast<int64_t>(item), 1, 0, nullptr};
                   one.b.data = b.data<char>() + b_at[groups.matrix[g]] * item;
                   one.c = to;
                   gemm(one);
                 });
}

void run_gather_qmm(const GatherQMM& p, const Arrays& in, Arrays& outputs) {
  array& out = outputs[0];
  allocate(out);
  array x = row_contiguous(in[0]), packed = row_contiguous(in[3]), scales = row_contiguous(in[4]);
  array biases = in.size() > 5 ? row_contiguous(in[5]) : scales;
  const size_t m = x.shape(-2), k = x.shape(-1), n = out.shape(-1);
  const size_t words = static_cast<size_t>(packed.shape(-1)) * packed.shape(-2);
  const size_t groups_each = static_cast<size_t>(scales.shape(-1)) * scales.shape(-2);
  auto count_of = [](const array& a) {
    int64_t c = 1;
    for (size_t i = 0; i + 2 < a.ndim(); ++i) c *= a.shape(static_cast<int>(i));
    return c;
  };
  auto lhs = checked_indices("gather_qmm", in[1], count_of(x));
  auto rhs = checked_indices("gather_qmm", in[2], count_of(packed));
  if (out.size() == 0) return;
  AffineMatrix w{packed.data<uint32_t>(),
                 scales.data<void>(),
                 biases.data<void>(),
                 scales.dtype(),
                 static_cast<size_t>(packed.shape(-2)),
                 static_cast<size_t>(scales.shape(-1)) * p.params().group_size,
                 p.params().group_size,
                 p.params().bits,
                 p.params().mode};
  Groups groups = group_by(rhs, count_of(packed));
  if (groups.matrix.size() == rhs.size() || m > static_cast<size_t>(kManyRows)) {
    std::vector<QuantizedBatch> parts(rhs.size());
    for (size_t i = 0; i < parts.size(); ++i)
      parts[i] = {lhs[i] * m * k, rhs[i] * words, rhs[i] * groups_each, i * m * n};
    quantized_matmul(x.data<void>(), x.dtype(), k, m, w, p.transpose(), out.data<void>(),
                     out.dtype(), n, parts.data(), parts.size());
    return;
  }
  const size_t item = x.itemsize();
  std::vector<const char*> rows(lhs.size());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = x.data<char>() + lhs[i] * m * k * item;
  for_each_group(groups, rows, static_cast<int64_t>(m), k * item, out.data<char>(),
                 n * out.itemsize(),
                 [&](size_t g, const char* from, int64_t step, int64_t count, char* to) {
                   const size_t e = groups.matrix[g];
                   const QuantizedBatch at{0, e * words, e * groups_each, 0};
                   quantized_matmul(from, x.dtype(), step / item, count, w, p.transpose(), to,
                                    out.dtype(), n, &at, 1);
                 });
}

const RegisterKernel<GatherMM> gather_mm_kernel{Device::cpu, &run_gather_mm};
const RegisterKernel<GatherQMM> gather_qmm_kernel{Device::cpu, &run_gather_qmm};

}  // namespace

}  // namespace mlx::core::cpu
