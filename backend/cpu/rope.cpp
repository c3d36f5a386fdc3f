// backend/cpu/rope.cpp: rotary position embedding.
#include "core/prim/rope.h"
#include "backend/cpu/fast/fast.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

void run_rope(const RoPE& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array x = inputs[0];
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  // Axes between batch and length are heads; more than one of them must lie together.
  int n = static_cast<int>(x.ndim());
  if (n > 4) x = row_contiguous(x);
  Rope r{};
  r.dtype = x.dtype();
  r.batch = static_cast<size_t>(x.shape(0));
  r.length = static_cast<size_t>(x.shape(-2));
  r.head_dim = static_cast<size_t>(x.shape(-1));
  r.heads = x.size() / (r.batch * r.length * r.head_dim);
  auto fill = [&](const array& a, int64_t(&strides)[4]) {
    strides[0] = a.strides(0);
    strides[1] = n > 3 ? a.strides(-3) : 0;
    strides[2] = a.strides(-2);
    strides[3] = a.strides(-1);
  };
  fill(x, r.in_strides);
  fill(out, r.out_strides);
  array offsets = row_contiguous(inputs[1]);
  array freqs = inputs.size() > 2 ? row_contiguous(inputs[2]) : x;
  r.in = x.data<void>();
  r.out = out.data<void>();
  r.dims = static_cast<size_t>(p.dims());
  r.traditional = p.traditional();
  r.base = p.base();
  r.freqs = inputs.size() > 2 ? freqs.data<float>() : nullptr;
  r.scale = p.scale();
  r.offsets = offsets.data<int64_t>();
  r.offset_step = offsets.size() > 1;
  r.inverse = p.inverse();
  rope(r);
}

const RegisterKernel<RoPE> registered{Device::cpu, &run_rope};

}  // namespace

}  // namespace mlx::core::cpu
