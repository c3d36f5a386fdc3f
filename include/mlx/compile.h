// include/mlx/compile.h: functions that are traced once and then only run.
#pragma once

#include <functional>
#include <type_traits>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {

/**
 * disabled: compiled functions run like those they were made from. no_simplify: traces are kept as
 * they are. no_fuse: they are simplified, and evaluated like any graph. enabled: all of it.
 */
enum class CompileMode { disabled, no_simplify, no_fuse, enabled };

/**
 * A function equal to fun that is traced once for each combination of input shapes and dtypes. With
 * shapeless, once for each combination of ranks and dtypes where all that fun does follows from the
 * shapes of its inputs. fun must have no effects beside its outputs.
 */
std::function<std::vector<array>(const std::vector<array>&)> compile(
    std::function<std::vector<array>(const std::vector<array>&)> fun, bool shapeless = false);
std::function<std::vector<array>(const std::vector<array>&)> compile(
    std::vector<array> (*fun)(const std::vector<array>&), bool shapeless = false);
template <typename F,
          typename = std::enable_if_t<std::is_convertible_v<F, decltype(+std::declval<F>())>>>
std::function<std::vector<array>(const std::vector<array>&)> compile(F&& f,
                                                                     bool shapeless = false) {
  return compile(+f, shapeless);
}

/** Makes compiled functions run like the functions they were made from. */
void disable_compile();
void enable_compile();
void set_compile_mode(CompileMode mode);
CompileMode compile_mode();

}  // namespace mlx::core
