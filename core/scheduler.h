// core/scheduler.h: the queue of a stream.
#pragma once

#include <functional>

#include "mlx/stream.h"

namespace mlx::core::scheduler {

/** Runs task on the thread of stream s, after the tasks enqueued there before. It must not throw.
 */
void enqueue(Stream s, std::function<void()> task);

}  // namespace mlx::core::scheduler
