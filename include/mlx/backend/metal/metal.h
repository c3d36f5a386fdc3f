// include/mlx/backend/metal/metal.h: Apple's GPUs. There is no backend for them here: what only
// they can do throws std::runtime_error.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <variant>

namespace mlx::core::metal {

bool is_available();

/** Records what the GPU does to a file. */
void start_capture(std::string path = "");
void stop_capture();

const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info();

/** Where compiled kernels lie. Kept, and used by nothing. */
void set_metallib_path(const std::string& path);
const std::string& get_metallib_path();

}  // namespace mlx::core::metal
