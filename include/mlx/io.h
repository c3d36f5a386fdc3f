// include/mlx/io.h: arrays in files: npy, safetensors, GGUF.
//
// Files given by name are mapped: arrays are read when they are used, and a file that is replaced
// (as the save functions do) stays readable for those who loaded it before. Saving to a name is
// atomic: the file is written under another name and then renamed. Any bytes give arrays or an
// exception.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "mlx/array.h"
#include "mlx/io/load.h"
#include "mlx/stream.h"
#include "mlx/utils.h"

namespace mlx::core {

using GGUFMetaData = std::variant<std::monostate, array, std::string, std::vector<std::string>>;
using GGUFLoad = std::pair<std::unordered_map<std::string, array>,
                           std::unordered_map<std::string, GGUFMetaData>>;
using SafetensorsLoad =
    std::pair<std::unordered_map<std::string, array>, std::unordered_map<std::string, std::string>>;

/** npy; ".npy" is appended to a name without it. */
void save(std::shared_ptr<io::Writer> out_stream, array a);
void save(std::string file, array a);
array load(std::shared_ptr<io::Reader> in_stream, StreamOrDevice s = {});
array load(std::string file, StreamOrDevice s = {});

/** Arrays by name, and the metadata. 8-bit floats come as uint8. */
SafetensorsLoad load_safetensors(std::shared_ptr<io::Reader> in_stream, StreamOrDevice s = {});
SafetensorsLoad load_safetensors(const std::string& file, StreamOrDevice s = {});
void save_safetensors(std::shared_ptr<io::Writer> in_stream, std::unordered_map<std::string, array>,
                      std::unordered_map<std::string, std::string> metadata = {});
void save_safetensors(std::string file, std::unordered_map<std::string, array>,
                      std::unordered_map<std::string, std::string> metadata = {});

/**
 * Arrays by name, and the metadata. Tensors of types Q4_0, Q4_1 and Q8_0 called x.weight come as
 * three arrays for quantized_matmul in groups of 32: x.weight (uint32), x.scales and x.biases
 * (float16); those of the other block types as float16.
 */
GGUFLoad load_gguf(const std::string& file, StreamOrDevice s = {});
void save_gguf(std::string file, std::unordered_map<std::string, array> array_map,
               std::unordered_map<std::string, GGUFMetaData> meta_data = {});

}  // namespace mlx::core
