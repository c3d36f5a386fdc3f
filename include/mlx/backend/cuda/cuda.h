// include/mlx/backend/cuda/cuda.h: NVIDIA's GPUs. There is no backend for them yet.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <variant>

namespace mlx::core::cu {

bool is_available();
/** Throws std::runtime_error where there is no such device. */
const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info(
    int device_index = 0);

}  // namespace mlx::core::cu
