// core/eval.h: how the evaluator is steered from outside.
#pragma once

#include <functional>

namespace mlx::core {

/**
 * check is called now and then between tasks on the thread that called eval(); it stops the
 * evaluation by throwing. Tasks not yet run leave their arrays lazy. Set once, at start-up.
 */
void set_interrupt_check(std::function<void()> check);

}  // namespace mlx::core
