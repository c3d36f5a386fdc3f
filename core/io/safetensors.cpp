// core/io/safetensors.cpp: a JSON header of names, dtypes, shapes and byte ranges; then the bytes.
// This is the only unit that includes the JSON library.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "mlx/io.h"

namespace mlx::core {

namespace {

using json = nlohmann::json;
constexpr const char* kTag = "[load_safetensors] ";
constexpr uint64_t kMaxHeader = uint64_t(1) << 28;

struct Name {
  const char* name;
  Dtype dtype;
};
constexpr Name kNames[] = {{"BOOL", bool_},
                           {"U8", uint8},
                           {"U16", uint16},
                           {"U32", uint32},
                           {"U64", uint64},
                           {"I8", int8},
                           {"I16", int16},
                           {"I32", int32},
                           {"I64", int64},
                           {"F16", float16},
                           {"BF16", bfloat16},
                           {"F32", float32},
                           {"F64", float64},
                           {"C64", complex64},
                           // Types that arrays do not have come as their bytes.
                           {"F8_E4M3", uint8},
                           {"F8_E5M2", uint8},
                           {"F8_E8M0", uint8}};

Dtype dtype_named(const std::string& name) {
  for (const auto& n : kNames) {
    if (name == n.name) return n.dtype;
  }
  throw std::runtime_error("[safetensor] unsupported dtype " + io::quoted(name));
}

const char* name_of(Dtype dtype) {
  for (const auto& n : kNames) {
    if (n.dtype == dtype) return n.name;
  }
  return "";
}

[[noreturn]] void invalid(const std::string& name, const std::string& what) {
  throw std::runtime_error(kTag + ("Tensor " + io::quoted(name) + " " + what));
}

uint64_t unsigned_at(const json& j, const std::string& name) {
  if (!j.is_number_unsigned()) invalid(name, "has a size or offset that is no number of bytes.");
  return j.get<uint64_t>();
}

/** header: the JSON text; data: what follows it, at offset data_start of bytes. */
SafetensorsLoad parse(const std::string& label, const char* header, size_t header_size,
                      const std::shared_ptr<const io::Bytes>& bytes, size_t data_start,
                      StreamOrDevice s) {
  json parsed = json::parse(header, header + header_size, nullptr, false);
  if (!parsed.is_object()) {
    throw std::runtime_error(kTag + ("Invalid json metadata " + label));
  }
  SafetensorsLoad out;
  size_t data_size = bytes->size() - data_start;
  for (const auto& [name, info] : parsed.items()) {
    if (name == "__metadata__") {
      if (!info.is_object()) continue;
      for (const auto& [key, value] : info.items()) {
        out.second.emplace(key, value.is_string() ? value.get<std::string>() : value.dump());
      }
      continue;
    }
    if (!info.is_object() || !info.contains("dtype") || !info.contains("shape") ||
        !info.contains("data_offsets") || !info["dtype"].is_string() || !info["shape"].is_array() ||
        !info["data_offsets"].is_array() || info["data_offsets"].size() != 2) {
      invalid(name, "needs a dtype, a shape and two data_offsets.");
    }
    Dtype dtype = dtype_named(info["dtype"].get<std::string>());
    Shape shape;
    uint64_t size = dtype.size();
    for (const auto& dim : info["shape"]) {
      uint64_t n = unsigned_at(dim, name);
      if (n > INT32_MAX || __builtin_mul_overflow(size, n, &size)) {
        invalid(name, "has a dimension that is too large.");
      }
      shape.push_back(static_cast<ShapeElem>(n));
    }
    uint64_t begin = unsigned_at(info["data_offsets"][0], name);
    uint64_t end = unsigned_at(info["data_offsets"][1], name);
    std::string range = "(" + std::to_string(begin) + ", " + std::to_string(end) + ")";
    if (end < begin || end - begin != size) {
      invalid(name,
              "invalid data offsets " + range + ". Expecting " + std::to_string(size) + " bytes.");
    }
    if (end > data_size) {
      invalid(name, "data offsets " + range + " lie beyond the end of the file, which has " +
                        std::to_string(data_size) +
                        " bytes of data. Perhaps an incomplete download?");
    }
    out.first.emplace(name, io::array_at(bytes, data_start + begin, shape, dtype, false, s));
  }
  return out;
}

void check_header_size(uint64_t size, const std::string& label) {
  if (size == 0 || size > kMaxHeader) {
    throw std::runtime_error(kTag + ("Invalid json header length " + std::to_string(size) + " in " +
                                     label + ". Perhaps no safetensors file, or a corrupt one?"));
  }
}

void write(io::Writer& out, const std::unordered_map<std::string, array>& arrays,
           const std::unordered_map<std::string, std::string>& metadata) {
  // The widest elements first keeps all of them aligned; names then make the file reproducible.
  std::vector<std::pair<std::string, array>> sorted;
  for (const auto& [name, a] : arrays) {
    if (name == "__metadata__") {
      throw std::invalid_argument("[save_safetensors] '__metadata__' is no name for an array.");
    }
    sorted.emplace_back(name, a);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    if (a.second.itemsize() != b.second.itemsize())
      return a.second.itemsize() > b.second.itemsize();
    return a.first < b.first;
  });
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const auto& [name, a] : sorted) {
    json shape = json::array();
    for (auto n : a.shape()) shape.push_back(n);
    header[name] = {{"dtype", name_of(a.dtype())},
                    {"shape", shape},
                    {"data_offsets", {offset, offset + a.nbytes()}}};
    offset += a.nbytes();
  }
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  uint64_t size = text.size();
  out.write(reinterpret_cast<const char*>(&size), 8);
  out.write(text.data(), text.size());
  for (const auto& [name, a] : sorted) {
    array value = io::evaluated(a);
    out.write(value.data<char>(), value.nbytes());
  }
}

}  // namespace

SafetensorsLoad load_safetensors(std::shared_ptr<io::Reader> in, StreamOrDevice s) {
  if (!in->good() || !in->is_open()) {
    throw std::runtime_error(kTag + ("Failed to open " + in->label()));
  }
  size_t start = in->tell();
  in->seek(0, std::ios_base::end);
  const size_t end = in->tell();
  std::shared_ptr<const io::Bytes> bytes;
  if (auto* mapped = dynamic_cast<io::BytesReader*>(in.get())) {
    bytes = mapped->bytes();
  } else {
    in->seek(static_cast<int64_t>(start));
    std::string all(end - start, '\0');
    in->read(all.data(), all.size());
    bytes = io::Bytes::of(std::move(all));
    start = 0;
  }
  io::Cursor cursor(bytes->data(), bytes->size(), kTag);
  cursor.take(start, "what comes before");
  auto n = cursor.value<uint64_t>("the length of the json header");
  check_header_size(n, in->label());
  const char* header = cursor.take(n, "the json header");
  return parse(in->label(), header, n, bytes, cursor.position(), s);
}

SafetensorsLoad load_safetensors(const std::string& file, StreamOrDevice s) {
  auto bytes = io::Bytes::of_file(file, kTag);
  io::Cursor cursor(bytes->data(), bytes->size(), kTag);
  auto n = cursor.value<uint64_t>("the length of the json header");
  check_header_size(n, "file " + file);
  if (n > cursor.left()) {
    throw std::runtime_error(kTag +
                             ("The JSON header is " + std::to_string(n) +
                              " bytes long but the file is only " + std::to_string(bytes->size()) +
                              " bytes. Perhaps an incomplete download or corrupt file?"));
  }
  const char* header = cursor.take(n, "the json header");
  return parse("file " + file, header, n, bytes, cursor.position(), s);
}

void save_safetensors(std::shared_ptr<io::Writer> out,
                      std::unordered_map<std::string, array> arrays,
                      std::unordered_map<std::string, std::string> metadata) {
  out->open();
  if (!out->good() || !out->is_open()) {
    throw std::runtime_error("[save_safetensors] Failed to open " + out->label());
  }
  write(*out, arrays, metadata);
}

void save_safetensors(std::string file, std::unordered_map<std::string, array> arrays,
                      std::unordered_map<std::string, std::string> metadata) {
  if (!file.ends_with(".safetensors")) file += ".safetensors";
  io::write_atomically(file, "[save_safetensors] ",
                       [&](io::Writer& out) { write(out, arrays, metadata); });
}

}  // namespace mlx::core
