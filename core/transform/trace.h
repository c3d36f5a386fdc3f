// core/transform/trace.h: what the transformations share: tracers and walks over a traced graph.
#pragma once

#include <functional>
#include <unordered_set>
#include <vector>

#include "core/prim/prim.h"
#include "core/tracing.h"

namespace mlx::core {

/** The identity: marks where a transformation's input begins. */
class Identity final : public ViewPrim<Identity> {
 public:
  using ViewPrim::ViewPrim;
  static constexpr const char* kName = "Identity";
  std::tuple<> fields() const { return {}; }
  void view(const array& in, array& out) const { out.copy_shared_buffer(in); }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>& tangents,
                         const std::vector<int>&) override {
    return tangents;
  }
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>& cotangents,
                         const std::vector<int>&, const std::vector<array>&) override {
    return cotangents;
  }
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
};

/** Its outputs are its first inputs; what it adds is for transformations only. */
class PassThrough {
 public:
  virtual ~PassThrough() = default;
};

/** Nodes equal to primals whose identity no other node shares, marked as tracers. */
std::vector<array> make_tracers(const std::vector<array>& primals);

/**
 * The nodes on a path from tracers to outputs, in topological order, one for each primitive (of
 * several outputs, the one met first). Does not look behind nodes that stop gradients if
 * through_stops is false.
 */
std::vector<array> dependent_nodes(const std::vector<array>& tracers,
                                   const std::vector<array>& outputs, bool through_stops,
                                   std::unordered_set<std::uintptr_t>& dependent);

}  // namespace mlx::core
