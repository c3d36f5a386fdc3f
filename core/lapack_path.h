// core/lapack_path.h: where a binding found a LAPACK library for the CPU backend.
#pragma once

#include <string>

namespace mlx::core {

/** Call before the first linear algebra is evaluated; the backend opens the file when it needs it.
 */
void set_lapack_path(std::string path);
std::string lapack_path();

}  // namespace mlx::core
