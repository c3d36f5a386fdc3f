// core/prim/prim.h: the base of Mica's own primitives. A primitive declares
//   static constexpr const char* kName = "Softmax";
//   auto fields() const { return std::tie(axis_, precise_); }   // std::tuple<>{} if none
// and gets name and equality from them; its kernels register themselves per device.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <tuple>
#include <typeinfo>
#include <vector>

#include "core/prim/fields.h"
#include "mlx/primitive.h"

namespace mlx::core {

/** Kernels of primitive P, best first. A kernel that is not fit for the call says so by `supports`.
 */
template <class P>
class Kernels {
 public:
  using Run = void (*)(const P&, const std::vector<array>& inputs, std::vector<array>& outputs);
  using Supports = bool (*)(const P&, const std::vector<array>& inputs);
  struct Entry {
    int priority;
    Supports supports;  // null: always
    Run run;
  };

  static std::vector<Entry>& of(Device::DeviceType device) {
    static std::vector<Entry> lists[2];
    return lists[static_cast<int>(device)];
  }

  static void run(Device::DeviceType device, const P& p, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
    for (const Entry& e : of(device)) {
      if (!e.supports || e.supports(p, inputs)) return e.run(p, inputs, outputs);
    }
    throw std::runtime_error(std::string("[") + P::kName +
                             "] no kernel for these inputs on this device.");
  }
};

/** static RegisterKernel<Matmul> r{Device::cpu, &matmul_cpu}; */
template <class P>
struct RegisterKernel {
  RegisterKernel(Device::DeviceType device, typename Kernels<P>::Run run, int priority = 0,
                 typename Kernels<P>::Supports supports = nullptr) {
    auto& list = Kernels<P>::of(device);
    list.push_back({priority, supports, run});
    std::stable_sort(list.begin(), list.end(),
                     [](const auto& a, const auto& b) { return a.priority > b.priority; });
  }
};

/** A primitive of any number of outputs whose kernels come from the registry. */
template <class Derived>
class Prim : public Primitive, public Fielded {
 public:
  using Primitive::Primitive;

  const char* name() const override { return Derived::kName; }
  const char* field_name() const override {
    (void)registered_;  // every primitive's table of functions names it, so none is forgotten
    return Derived::kName;
  }
  /** The parameters: one alone, a pair, or a tuple. */
  auto state() const { return fields::values(self().fields()); }
  void write_fields(FieldLeaves& leaves) const override { fields::put(leaves, self().fields()); }
  // A class whose plain fields come from shapes says so: static constexpr bool kFromShapes = true.
  bool has_shape_fields() const override {
    if constexpr (requires { Derived::kFromShapes; }) return true;
    return fields::has_shape<fields::plain<decltype(self().fields())>>();
  }
  bool is_equivalent(const Primitive& other) const override {
    return typeid(other) == typeid(Derived) &&
           static_cast<const Derived&>(other).fields() == self().fields();
  }
  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    Kernels<Derived>::run(Device::cpu, self(), inputs, outputs);
  }
  // What a device has no kernel for runs on the CPU over the same array.
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    auto device = Kernels<Derived>::of(Device::gpu).empty() ? Device::cpu : Device::gpu;
    Kernels<Derived>::run(device, self(), inputs, outputs);
  }

 protected:
  const Derived& self() const { return static_cast<const Derived&>(*this); }

 private:
  static const bool registered_;
};
template <class Derived>
const bool Prim<Derived>::registered_ = register_primitive(Derived::kName,
                                                           fields::maker_of<Derived>());

/**
 * A primitive whose single output is a view of its first input (or a copy where no view can be
 * made): the same on every device. Derived implements view(const array& in, array& out).
 */
template <class Derived>
class ViewPrim : public Prim<Derived> {
 public:
  using Prim<Derived>::Prim;
  bool only_computes() const override { return true; }
  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    this->self().view(inputs[0], outputs[0]);
  }
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    this->self().view(inputs[0], outputs[0]);
  }
};

}  // namespace mlx::core
