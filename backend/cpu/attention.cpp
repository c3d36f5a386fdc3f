// backend/cpu/attention.cpp: scaled dot product attention, forward and backward.
#include "core/prim/attention.h"
#include "backend/cpu/fast/fast.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

using Arrays = std::vector<array>;

AttentionOperand operand(const array& a) {
  AttentionOperand o{a.data<void>(), {}};
  for (int i = 0; i < 4; ++i) o.strides[i] = a.shape(i) == 1 ? 0 : a.strides(i);
  return o;
}

/** The call for inputs q, k, v [, mask] [, sinks]; sinks in float32 live in `sinks`. */
Attention describe(const AttentionParams& p, const Arrays& in, size_t n_inputs,
                   std::optional<array>& sinks) {
  Attention a{};
  const array &q = in[0], &k = in[1], &v = in[2];
  a.dtype = q.dtype();
  a.batch = q.shape(0);
  a.heads = q.shape(1);
  a.kv_heads = k.shape(1);
  a.queries = q.shape(2);
  a.keys = k.shape(2);
  a.head_dim = q.shape(3);
  a.value_dim = v.shape(3);
  a.q = operand(q);
  a.k = operand(k);
  a.v = operand(v);
  a.scale = p.scale;
  a.causal = p.causal;
  a.mask = AttentionOperand{nullptr, {0, 0, 0, 0}};
  a.mask_dtype = bool_;
  if (p.mask) {
    a.mask = operand(in[3]);
    a.mask_dtype = in[3].dtype();
  }
  if (p.sinks) {
    array wide(in[n_inputs - 1].shape(), float32, nullptr, {});
    allocate(wide);
    copy_into(in[n_inputs - 1], wide);
    sinks = wide;
    a.sinks = sinks->data<float>();
  }
  return a;
}

void run_attention(const ScaledDotProductAttention& p, const Arrays& in, Arrays& out) {
  allocate(out[0]);
  allocate(out[1]);
  std::optional<array> sinks;
  Attention a = describe(p.params(), in, in.size(), sinks);
  int64_t strides[4];
  for (int i = 0; i < 4; ++i) strides[i] = out[0].strides(i);
  attention(a, out[0].data<void>(), strides, out[1].data<float>());
}

void run_attention_vjp(const ScaledDotProductAttentionVJP& p, const Arrays& in, Arrays& out) {
  size_t n = in.size() - 3;
  for (auto& o : out) allocate(o);
  std::optional<array> sinks;
  Attention a = describe(p.params(), in, n, sinks);
  array lse = row_contiguous(in[n + 1]);
  AttentionGrads grads{out[0].data<void>(), out[1].data<void>(), out[2].data<void>(), nullptr,
                       nullptr};
  auto wide = [](const array& like) {
    array w(like.shape(), float32, nullptr, {});
    allocate(w);
    return w;
  };
  std::optional<array> dmask, dsinks;
  if (p.params().mask && p.mask_grad()) {
    dmask = wide(out[3]);
    grads.dmask = dmask->data<float>();
  } else if (p.params().mask) {
    // Nobody asked for the mask's cotangent; the output exists all the same.
    std::fill_n(out[3].data<char>(), out[3].nbytes(), 0);
  }
  if (p.params().sinks) {
    dsinks = wide(out[n - 1]);
    grads.dsinks = dsinks->data<float>();
  }
  attention_vjp(a, operand(in[n]), lse.data<float>(), operand(in[n + 2]), grads);
  if (dmask) copy_into(*dmask, out[3]);
  if (dsinks) copy_into(*dsinks, out[n - 1]);
}

const RegisterKernel<ScaledDotProductAttention> forward{Device::cpu, &run_attention};
const RegisterKernel<ScaledDotProductAttentionVJP> backward{Device::cpu, &run_attention_vjp};

}  // namespace

}  // namespace mlx::core::cpu
