// core/distributed/group.cpp: groups. There is no backend that reaches other processes yet, so the
// only group is that of this process alone.
#include "core/distributed/group.h"

#include <stdexcept>
#include <string_view>

#include "mlx/distributed/distributed.h"

namespace mlx::core::distributed {

namespace {

class Alone final : public detail::GroupImpl {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::shared_ptr<detail::GroupImpl> split(int, int) override {
    throw std::runtime_error(
        "[distributed] Cannot split the distributed group further: it has one process.");
  }
};

bool is_backend(std::string_view bk) {
  return bk == "any" || bk == "mpi" || bk == "nccl" || bk == "jaccl" || bk == "ring";
}

}  // namespace

bool is_available() { return false; }
bool is_available(const std::string&) { return false; }

int Group::rank() const { return group_->rank(); }
int Group::size() const { return group_->size(); }
Group Group::split(int color, int key) const { return Group(group_->split(color, key)); }

Group init(bool strict, const std::string& bk) { return init(strict, bk, nullptr); }

Group init(bool strict, const std::string& bk, AllGatherFactory factory) {
  if (!is_backend(bk)) {
    throw std::invalid_argument(
        "[distributed] The only valid values for backend are 'any', 'mpi', 'nccl', 'jaccl' and "
        "'ring' but '" +
        bk + "' was provided.");
  }
  if (factory && bk != "jaccl") {
    throw std::invalid_argument(
        "[distributed] all_gather_factory is only supported with backend='jaccl', not '" + bk +
        "'.");
  }
  if (strict) {
    throw std::runtime_error(
        bk == "any"
            ? "[distributed] Couldn't initialize any backend: this build has none."
            : "[distributed] Cannot initialize " + bk + ": this build has no such backend.");
  }
  static const auto alone = std::make_shared<Alone>();
  return Group(alone);
}

void clear_backends() {}

}  // namespace mlx::core::distributed
