// include/mlx/distributed/distributed.h: groups of processes that work together.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace mlx::core::distributed {

namespace detail {
class GroupImpl;
}

/** Gathers n bytes of every process: (mine, all of them, n). Made from a rank and a size. */
using AllGatherFn = std::function<void(const char*, char*, size_t)>;
using AllGatherFactory = std::function<AllGatherFn(int, int)>;

/** Whether this build can talk to other processes: through any backend, or through this one. */
bool is_available();
bool is_available(const std::string& bk);

/** Processes numbered from 0. A handle: copies are the same group. */
struct Group {
  explicit Group(std::shared_ptr<detail::GroupImpl> group) : group_(std::move(group)) {}

  int rank() const;
  int size() const;
  /** The group of the processes that give the same color, ordered by key. */
  Group split(int color, int key = -1) const;
  const std::shared_ptr<detail::GroupImpl>& raw_group() const { return group_; }

 private:
  std::shared_ptr<detail::GroupImpl> group_;
};

/**
 * The group of all processes. Where no backend can be started: a group of this process alone, or,
 * if strict, std::runtime_error. bk is "any", "mpi", "ring", "nccl" or "jaccl".
 */
Group init(bool strict = false, const std::string& bk = "any");
Group init(bool strict, const std::string& bk, AllGatherFactory factory);

/** Forgets the groups made so far. */
void clear_backends();

}  // namespace mlx::core::distributed
