// core/prim/primitive.cpp: what a primitive answers if it does not say otherwise.
#include "mlx/primitive.h"

#include <sstream>
#include <stdexcept>

namespace mlx::core {

namespace {
[[noreturn]] void lacks(const Primitive& p, const char* what) {
  std::ostringstream msg;
  msg << "[Primitive::" << what << "] Not implemented for " << p.name() << ".";
  throw std::invalid_argument(msg.str());
}
}  // namespace

std::vector<array> Primitive::jvp(const std::vector<array>&, const std::vector<array>&,
                                  const std::vector<int>&) {
  lacks(*this, "jvp");
}

std::vector<array> Primitive::vjp(const std::vector<array>&, const std::vector<array>&,
                                  const std::vector<int>&, const std::vector<array>&) {
  lacks(*this, "vjp");
}

std::pair<std::vector<array>, std::vector<int>> Primitive::vmap(const std::vector<array>&,
                                                                const std::vector<int>&) {
  lacks(*this, "vmap");
}

std::vector<Shape> Primitive::output_shapes(const std::vector<array>&) {
  lacks(*this, "output_shapes");
}

}  // namespace mlx::core
