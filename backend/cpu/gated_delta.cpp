// backend/cpu/gated_delta.cpp: GatedDeltaRule and GatedDeltaRuleVJP.
#include "core/prim/gated_delta.h"

#include "backend/cpu/fast/fast.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

using Arrays = std::vector<array>;

/** The arguments of the kernels, over arrays that must live as long. */
template <class T>
GatedDelta<T> arguments(const Arrays& in, bool state, bool mask) {
  const array &k = in[1], &v = in[2];
  auto size = [](const array& a, int d) { return static_cast<size_t>(a.shape(d)); };
  GatedDelta<T> a{};
  a.batch = size(k, 0), a.time = size(k, 1), a.key_heads = size(k, 2), a.key_dim = size(k, 3);
  a.heads = size(v, 2), a.value_dim = size(v, 3), a.gate_dim = size(in[3], 3);
  a.q = in[0].data<T>(), a.k = k.data<T>(), a.v = v.data<T>();
  a.gate = in[3].data<T>(), a.beta = in[4].data<T>();
  a.state = state ? in[5].data<T>() : nullptr;
  a.mask = mask ? in[state ? 6 : 5].data<bool>() : nullptr;
  return a;
}

Arrays contiguous(const Arrays& inputs) {
  Arrays in;
  for (const array& a : inputs) in.push_back(row_contiguous(a));
  return in;
}

void run(const GatedDeltaRule& p, const Arrays& inputs, Arrays& out) {
  for (array& o : out) allocate(o);
  Arrays in = contiguous(inputs);
  auto go = [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    gated_delta<T>(arguments<T>(in, p.has_state(), p.has_mask()), out[0].data<T>(),
                   out[1].data<T>());
  };
  in[0].dtype() == float64 ? go(static_cast<double*>(nullptr)) : go(static_cast<float*>(nullptr));
}

void run_vjp(const GatedDeltaRuleVJP& p, const Arrays& inputs, Arrays& out) {
  for (array& o : out) allocate(o);
  Arrays in = contiguous(inputs);
  auto go = [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    GatedDeltaGrads<T> g{};
    g.dout = in[in.size() - 2].data<T>(), g.dlast_state = in.back().data<T>();
    g.dq = out[0].data<T>(), g.dk = out[1].data<T>(), g.dv = out[2].data<T>();
    g.dgate = out[3].data<T>(), g.dbeta = out[4].data<T>();
    g.dstate = p.has_state() ? out[5].data<T>() : nullptr;
    gated_delta_vjp<T>(arguments<T>(in, p.has_state(), p.has_mask()), g);
  };
  in[0].dtype() == float64 ? go(static_cast<double*>(nullptr)) : go(static_cast<float*>(nullptr));
}

const RegisterKernel<GatedDeltaRule> forward{Device::cpu, &run};
const RegisterKernel<GatedDeltaRuleVJP> backward{Device::cpu, &run_vjp};

}  // namespace

}  // namespace mlx::core::cpu
