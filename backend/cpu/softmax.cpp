// backend/cpu/softmax.cpp
#include "core/prim/softmax.h"
#include "backend/cpu/fast/fast.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

/**
 * Rows that lie across the memory, as those of an axis that was moved to the end: [outer, n, inner]
 * there, with the rows along n. `inner` is 0 where they are better laid out anew: of few columns,
 * or too long for a block of columns to stay in cache.
 */
size_t columns_of(const array& x) {
  constexpr int64_t kLongest = 8192, kFewest = 16;
  const int64_t inner = x.strides(-1), n = x.shape(-1);
  if (!x.flags().contiguous || x.flags().row_contiguous || x.data_size() != x.size()) return 0;
  if (n > kLongest || inner < kFewest) return 0;
  // Those before the axis in memory come in its steps, those within one step fill it in order.
  int64_t within = 1, outer = n * inner;
  const int64_t whole = outer;
  for (int i = static_cast<int>(x.ndim()) - 2; i >= 0; --i) {
    if (x.shape(i) == 1) continue;
    const bool before = x.strides(i) >= inner;
    int64_t& step = before ? outer : within;
    if (x.strides(i) != step || (!before && outer != whole)) return 0;
    step *= x.shape(i);
  }
  return within == inner ? inner : 0;
}

void run_softmax(const Softmax&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& x = inputs[0];
  array& out = outputs[0];
  if (x.size() == 0) return allocate(out);
  size_t n = x.shape(-1);
  if (size_t inner = columns_of(x)) {
    // The result lies as x does: moved back, the axis is where it was.
    if (x.is_donatable()) {
      out.copy_shared_buffer(x);
    } else {
      out.set_data(allocator::malloc(out.nbytes()), x.data_size(), x.strides(), x.flags());
    }
    return softmax(x.data<void>(), out.data<void>(), x.dtype(), x.size() / (n * inner), n, inner);
  }
  array in = row_contiguous(x);
  if (in.id() == x.id()) {
    allocate_or_donate(x, out);
  } else {
    out.copy_shared_buffer(in);
  }
  // Rows of one item are the columns of one row.
  const size_t rows = x.size() / n;
  softmax(in.data<void>(), out.data<void>(), x.dtype(), n == 1 ? 1 : rows, n, n == 1 ? rows : 1);
}

void run_logsumexp(const LogSumExp&, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  const array& x = inputs[0];
  const size_t rows = outputs[0].size(), n = x.shape(-1);
  allocate(outputs[0]);
  size_t inner = x.size() == 0 ? 0 : columns_of(x);
  array in = inner ? x : row_contiguous(x);
  // Its rows are counted in their own order, which is that of memory: outer ones first.
  if (inner == 0) inner = n == 1 ? rows : 1;
  logsumexp(in.data<void>(), outputs[0].data<void>(), in.dtype(), inner ? rows / inner : 0, n,
            inner);
}

const RegisterKernel<Softmax> softmax_kernel{Device::cpu, &run_softmax};
const RegisterKernel<LogSumExp> logsumexp_kernel{Device::cpu, &run_logsumexp};

}  // namespace

}  // namespace mlx::core::cpu
