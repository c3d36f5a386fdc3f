// include/mlx/distributed/ops.h: operations that processes do together.
#pragma once

#include <optional>

#include "mlx/array.h"
#include "mlx/distributed/distributed.h"
#include "mlx/utils.h"

namespace mlx::core::distributed {

// Without a group: that of all processes. In a group of one, reductions and gathers give x, and
// sending and receiving throw std::invalid_argument.
array all_sum(const array& x, std::optional<Group> group = std::nullopt, StreamOrDevice s = {});
array all_max(const array& x, std::optional<Group> group = std::nullopt, StreamOrDevice s = {});
array all_min(const array& x, std::optional<Group> group = std::nullopt, StreamOrDevice s = {});
/** The arrays of all processes one after the other along the first axis. */
array all_gather(const array& x, std::optional<Group> group = std::nullopt, StreamOrDevice s = {});
/** This process's share, along the first axis, of the sum. */
array sum_scatter(const array& x, std::optional<Group> group = std::nullopt, StreamOrDevice s = {});

array send(const array& x, int dst, std::optional<Group> group = std::nullopt,
           StreamOrDevice s = {});
array recv(Shape shape, Dtype dtype, int src, std::optional<Group> group = std::nullopt,
           StreamOrDevice s = {});
array recv_like(const array& x, int src, std::optional<Group> group = std::nullopt,
                StreamOrDevice s = {});

}  // namespace mlx::core::distributed
