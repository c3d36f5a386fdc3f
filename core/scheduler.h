// core/scheduler.h: the queue of a stream.
#pragma once

#include <functional>

#include "mlx/stream.h"

namespace mlx::core::scheduler {

/** Runs task on the thread of stream s, after the tasks enqueued there before. It must not throw.
 */
void enqueue(Stream s, std::function<void()> task);

/** The same for the queue of a device: what runs there waits for nothing but what was enqueued
 * before it, here or on other queues. */
void enqueue_on_device(Stream s, std::function<void()> task);

}  // namespace mlx::core::scheduler
