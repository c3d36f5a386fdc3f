// backend/cpu/norms.cpp: RMSNorm and LayerNorm, forward and backward.
#include "core/prim/norms.h"
#include "backend/cpu/fast/fast.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

using Arrays = std::vector<array>;

struct Rows {
  size_t rows, n;
  explicit Rows(const array& x) : rows(0), n(static_cast<size_t>(x.shape(-1))) {
    if (n > 0) rows = x.size() / n;
  }
};

void forward(const array& x, const array* weight, const array* bias, float eps, bool centred,
             array& out) {
  array in = row_contiguous(x);
  if (in.id() == x.id()) {
    allocate_or_donate(x, out);
  } else {
    out.copy_shared_buffer(in);  // the copy is nobody else's
  }
  Rows r(x);
  std::optional<array> w, b;
  if (weight) w = row_contiguous(*weight);
  if (bias) b = row_contiguous(*bias);
  const void* wp = w ? w->data<void>() : nullptr;
  const void* bp = b ? b->data<void>() : nullptr;
  if (centred) {
    layer_norm(in.data<void>(), wp, bp, out.data<void>(), x.dtype(), r.rows, r.n, eps);
  } else {
    rms_norm(in.data<void>(), wp, out.data<void>(), x.dtype(), r.rows, r.n, eps);
  }
}

void run_rms_norm(const RMSNorm& p, const Arrays& in, Arrays& out) {
  forward(in[0], in.size() > 1 ? &in[1] : nullptr, nullptr, p.eps(), false, out[0]);
}

void run_layer_norm(const LayerNorm& p, const Arrays& in, Arrays& out) {
  const array* bias = p.has_bias() ? &in[p.has_weight() ? 2 : 1] : nullptr;
  forward(in[0], p.has_weight() ? &in[1] : nullptr, bias, p.eps(), true, out[0]);
}

void run_rms_norm_vjp(const RMSNormVJP& p, const Arrays& in, Arrays& out) {
  for (auto& o : out) allocate(o);
  array x = row_contiguous(in[0]), g = row_contiguous(in.back());
  bool weight = in.size() > 2;
  array w = weight ? row_contiguous(in[1]) : x;
  Rows r(x);
  rms_norm_vjp(x.data<void>(), weight ? w.data<void>() : nullptr, g.data<void>(), x.dtype(), r.rows,
               r.n, p.eps(), out[0].data<void>(), weight ? out[1].data<void>() : nullptr);
}

void run_layer_norm_vjp(const LayerNormVJP& p, const Arrays& in, Arrays& out) {
  for (auto& o : out) allocate(o);
  array x = row_contiguous(in[0]), g = row_contiguous(in.back());
  array w = p.has_weight() ? row_contiguous(in[1]) : x;
  Rows r(x);
  void* dw = p.has_weight() ? out[1].data<void>() : nullptr;
  void* db = p.has_bias() ? out.back().data<void>() : nullptr;
  layer_norm_vjp(x.data<void>(), p.has_weight() ? w.data<void>() : nullptr, g.data<void>(),
                 x.dtype(), r.rows, r.n, p.eps(), out[0].data<void>(), dw, db);
}

const RegisterKernel<RMSNorm> rms{Device::cpu, &run_rms_norm};
const RegisterKernel<RMSNormVJP> rms_vjp{Device::cpu, &run_rms_norm_vjp};
const RegisterKernel<LayerNorm> layer{Device::cpu, &run_layer_norm};
const RegisterKernel<LayerNormVJP> layer_vjp{Device::cpu, &run_layer_norm_vjp};

}  // namespace

}  // namespace mlx::core::cpu
