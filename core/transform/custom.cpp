// core/transform/custom.cpp: functions with rules of their own, and checkpoint, which is one of
// them.
#include "core/transform/trace.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

using VjpFn = std::function<std::vector<array>(const std::vector<array>&, const std::vector<array>&,
                                               const std::vector<array>&)>;
using JvpFn = std::function<std::vector<array>(const std::vector<array>&, const std::vector<array>&,
                                               const std::vector<int>&)>;
using VmapFn = std::function<std::pair<std::vector<array>, std::vector<int>>(
    const std::vector<array>&, const std::vector<int>&)>;

/**
 * Its inputs are the outputs of the function, then the function's arguments; its outputs are those
 * outputs. A transformation asks the rules and never looks at how the outputs came about.
 */
class CustomTransforms final : public Primitive, public PassThrough {
 public:
  CustomTransforms(Stream s, size_t n_outputs, ArrayFn fun, VjpFn vjp, JvpFn jvp, VmapFn vmap)
      : Primitive(s),
        n_outputs_(n_outputs),
        fun_(std::move(fun)),
        vjp_(std::move(vjp)),
        jvp_(std::move(jvp)),
        vmap_(std::move(vmap)) {}

  const char* name() const override { return "CustomTransforms"; }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    for (size_t i = 0; i < outputs.size(); ++i) outputs[i].copy_shared_buffer(inputs[i]);
  }
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    eval_cpu(inputs, outputs);
  }

  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override {
    auto arguments = tail(primals);
    auto all = vjp_(arguments, cotangents, outputs);
    std::vector<array> result;
    for (int a : argnums) {
      // The function's outputs are inputs only so that they get evaluated: nothing flows there.
      if (static_cast<size_t>(a) < n_outputs_) {
        result.push_back(zeros_like(primals[a], stream()));
      } else {
        result.push_back(all.at(a - n_outputs_));
      }
    }
    return result;
  }

  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override {
    std::vector<array> known;
    std::vector<int> positions;
    for (size_t i = 0; i < argnums.size(); ++i) {
      if (static_cast<size_t>(argnums[i]) < n_outputs_) continue;
      known.push_back(tangents[i]);
      positions.push_back(argnums[i] - static_cast<int>(n_outputs_));
    }
    return jvp_(tail(primals), known, positions);
  }

  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override {
    return vmap_(tail(inputs), std::vector<int>(axes.begin() + n_outputs_, axes.end()));
  }

 private:
  std::vector<array> tail(const std::vector<array>& inputs) const {
    return std::vector<array>(inputs.begin() + n_outputs_, inputs.end());
  }

  size_t n_outputs_;
  ArrayFn fun_;
  VjpFn vjp_;
  JvpFn jvp_;
  VmapFn vmap_;
};

/** The cotangents of all inputs. Integers have none: asking for it would refuse indices. */
std::vector<array> vjp_of_all(const ArrayFn& fun, const std::vector<array>& primals,
                              const std::vector<array>& cotangents) {
  std::vector<size_t> places;
  std::vector<array> known, result;
  for (size_t i = 0; i < primals.size(); ++i) {
    result.push_back(zeros_like(primals[i]));
    if (!issubdtype(primals[i].dtype(), inexact)) continue;
    places.push_back(i);
    known.push_back(primals[i]);
  }
  auto of_known = [&](const std::vector<array>& some) {
    auto all = primals;
    for (size_t i = 0; i < places.size(); ++i) all[places[i]] = some[i];
    return fun(all);
  };
  auto found = vjp(ArrayFn(of_known), known, cotangents).second;
  for (size_t i = 0; i < places.size(); ++i) result[places[i]] = found[i];
  return result;
}

VjpFn derived_vjp(const ArrayFn& fun) {
  return [fun](const std::vector<array>& primals, const std::vector<array>& cotangents,
               const std::vector<array>&) { return vjp_of_all(fun, primals, cotangents); };
}

JvpFn derived_jvp(const ArrayFn& fun) {
  return [fun](const std::vector<array>& primals, const std::vector<array>& tangents,
               const std::vector<int>& argnums) {
    std::vector<array> all;
    for (const auto& p : primals) all.push_back(zeros_like(p));
    for (size_t i = 0; i < argnums.size(); ++i) all[argnums[i]] = tangents[i];
    return jvp(fun, primals, all).second;
  };
}

VmapFn derived_vmap(const ArrayFn& fun) {
  return [fun](const std::vector<array>& inputs, const std::vector<int>& axes) {
    auto outputs = vmap(fun, axes)(inputs);
    std::vector<int> out_axes(outputs.size(), 0);
    return std::make_pair(std::move(outputs), std::move(out_axes));
  };
}

}  // namespace

ArrayFn custom_function(ArrayFn fun, std::optional<VjpFn> fun_vjp, std::optional<JvpFn> fun_jvp,
                        std::optional<VmapFn> fun_vmap) {
  if (!fun_vjp && !fun_jvp && !fun_vmap) return fun;
  auto vjp_rule = fun_vjp.value_or(derived_vjp(fun));
  auto jvp_rule = fun_jvp.value_or(derived_jvp(fun));
  auto vmap_rule = fun_vmap.value_or(derived_vmap(fun));
  return [=](const std::vector<array>& args) {
    // The inner graph hangs on constants: derivatives must not reach it around the rules.
    std::vector<array> inner;
    for (const auto& a : args) inner.push_back(stop_gradient(a));
    auto outputs = fun(inner);
    std::vector<Shape> shapes;
    std::vector<Dtype> dtypes;
    std::vector<array> inputs;
    for (const auto& out : outputs) {
      shapes.push_back(out.shape());
      dtypes.push_back(out.dtype());
      inputs.push_back(stop_gradient(out));
    }
    inputs.insert(inputs.end(), args.begin(), args.end());
    auto primitive = std::make_shared<CustomTransforms>(to_stream({}), outputs.size(), fun,
                                                        vjp_rule, jvp_rule, vmap_rule);
    return array::make_arrays(std::move(shapes), dtypes, primitive, inputs);
  };
}

ArrayFn custom_vjp(ArrayFn fun, VjpFn fun_vjp) {
  return custom_function(std::move(fun), std::move(fun_vjp), std::nullopt, std::nullopt);
}

ArrayFn checkpoint(ArrayFn fun) {
  VjpFn again = [fun](const std::vector<array>& primals, const std::vector<array>& cotangents,
                      const std::vector<array>&) {
    // Not before the cotangents are there: that is when the memory is needed.
    std::vector<array> late = depends(primals, cotangents);
    return vjp_of_all(fun, late, cotangents);
  };
  return custom_function(fun, again);
}

}  // namespace mlx::core
