// core/distributed/ops.cpp: operations of a group. In a group of one they are the identity, which
// derivatives and batching go through by themselves.
#include "mlx/distributed/ops.h"

#include <stdexcept>
#include <string>

namespace mlx::core::distributed {

namespace {

Group group_or_all(const std::optional<Group>& group) { return group ? *group : init(); }

/** x, in a group of one. */
array of_one(const char* op, const array& x, const std::optional<Group>& group) {
  if (int size = group_or_all(group).size(); size != 1) {
    throw std::runtime_error(std::string("[") + op + "] No way to reach the " +
                             std::to_string(size - 1) + " other processes of this group.");
  }
  return x;
}

[[noreturn]] void nobody(const char* op, const char* what, int rank,
                         const std::optional<Group>& group) {
  if (group_or_all(group).size() == 1) {
    throw std::invalid_argument(std::string("[") + op + "] Cannot " + op + " " + what +
                                " a singleton group (rank " + std::to_string(rank) +
                                " was asked for).");
  }
  throw std::runtime_error(std::string("[") + op + "] No way to reach rank " +
                           std::to_string(rank) + " of this group.");
}

}  // namespace

#define MLX_OF_ONE(name)                                                   \
  array name(const array& x, std::optional<Group> group, StreamOrDevice) { \
    return of_one(#name, x, group);                                        \
  }
MLX_OF_ONE(all_sum)
MLX_OF_ONE(all_max)
MLX_OF_ONE(all_min)
MLX_OF_ONE(all_gather)
MLX_OF_ONE(sum_scatter)
#undef MLX_OF_ONE

array send(const array&, int dst, std::optional<Group> group, StreamOrDevice) {
  nobody("send", "to", dst, group);
}
array recv(Shape, Dtype, int src, std::optional<Group> group, StreamOrDevice) {
  nobody("recv", "from", src, group);
}
array recv_like(const array& x, int src, std::optional<Group> group, StreamOrDevice s) {
  return recv(x.shape(), x.dtype(), src, group, s);
}

}  // namespace mlx::core::distributed
