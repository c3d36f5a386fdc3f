// backend/cpu/cross_entropy.cpp: CrossEntropy and CrossEntropyVJP.
#include "core/prim/cross_entropy.h"

#include "backend/cpu/fast/fast.h"
#include "backend/cpu/walk.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

using Arrays = std::vector<array>;

/** Targets as offsets in a row; raises IndexError for one out of range. */
std::vector<int64_t> offsets(const array& targets, int n) {
  array t = row_contiguous(targets);
  std::vector<int64_t> result(t.size(), 0);
  BadIndex bad;
  add_offsets_for(t.dtype())(t.data<void>(), 1, t.size(), {-1, n, n - 1, 1}, result.data(), bad);
  bad.raise("cross_entropy");
  return result;
}

void run(const CrossEntropy&, const Arrays& in, Arrays& out) {
  allocate(out[0]);
  if (out[0].size() == 0) return;
  array x = row_contiguous(in[0]);
  auto at = offsets(in[1], x.shape(-1));
  cross_entropy(x.data<void>(), at.data(), out[0].data<void>(), x.dtype(), at.size(), x.shape(-1));
}

void run_vjp(const CrossEntropyVJP&, const Arrays& in, Arrays& out) {
  allocate(out[0]);
  if (out[0].size() == 0) return;
  array x = row_contiguous(in[0]), d = row_contiguous(in[2]);
  auto at = offsets(in[1], x.shape(-1));
  cross_entropy_vjp(x.data<void>(), at.data(), d.data<void>(), out[0].data<void>(), x.dtype(),
                    at.size(), x.shape(-1));
}

const RegisterKernel<CrossEntropy> forward{Device::cpu, &run};
const RegisterKernel<CrossEntropyVJP> backward{Device::cpu, &run_vjp};

}  // namespace

}  // namespace mlx::core::cpu
