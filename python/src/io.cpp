// python/src/io.cpp: loading and saving, from paths and from Python file objects.
#include "bind.h"
#include "define.h"

#if __has_include("mlx/io.h")
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/variant.h>

#include <cstring>

#include "core/io/file.h"
#include "mlx/io.h"
#include "mlx/transforms.h"

namespace {

namespace io = mx::io;
using ArrayMap = std::unordered_map<std::string, mx::array>;

/** A Python file open for reading. Methods may be called without the GIL. */
class FileReader final : public io::Reader {
 public:
  explicit FileReader(nb::object file) : file_(share(std::move(file))) {}
  bool is_open() const override {
    nb::gil_scoped_acquire gil;
    return !nb::cast<bool>(file_->attr("closed"));
  }
  bool good() const override { return is_open(); }
  size_t tell() override {
    nb::gil_scoped_acquire gil;
    return nb::cast<size_t>(file_->attr("tell")());
  }
  void seek(int64_t off, std::ios_base::seekdir way) override {
    nb::gil_scoped_acquire gil;
    file_->attr("seek")(off, way == std::ios_base::beg ? 0 : way == std::ios_base::cur ? 1 : 2);
  }
  void read(char* data, size_t n) override {
    nb::gil_scoped_acquire gil;
    while (n > 0) {
      nb::object chunk = file_->attr("read")(n);
      if (!PyBytes_Check(chunk.ptr()))
        throw_type_error("[load] The file must be open in binary mode.");
      nb::bytes bytes = nb::borrow<nb::bytes>(chunk);
      if (bytes.size() == 0 || bytes.size() > n)
        throw std::runtime_error("[load] The file ended too early.");
      std::memcpy(data, bytes.c_str(), bytes.size());
      data += bytes.size();
      n -= bytes.size();
    }
  }
  void read(char* data, size_t n, size_t offset) override {
    nb::gil_scoped_acquire gil;
    seek(static_cast<int64_t>(offset), std::ios_base::beg);
    read(data, n);
  }
  std::string label() const override { return "Python file object"; }

 private:
  SharedObject file_;
};

/** A Python file open for writing. */
class FileWriter final : public io::Writer {
 public:
  explicit FileWriter(nb::object file) : file_(share(std::move(file))) {}
  bool is_open() const override {
    nb::gil_scoped_acquire gil;
    return !nb::cast<bool>(file_->attr("closed"));
  }
  bool good() const override { return is_open(); }
  size_t tell() override {
    nb::gil_scoped_acquire gil;
    return nb::cast<size_t>(file_->attr("tell")());
  }
  void seek(int64_t off, std::ios_base::seekdir way) override {
    nb::gil_scoped_acquire gil;
    file_->attr("seek")(off, way == std::ios_base::beg ? 0 : way == std::ios_base::cur ? 1 : 2);
  }
  void write(const char* data, size_t n) override {
    nb::gil_scoped_acquire gil;
    file_->attr("write")(nb::bytes(data, n));
  }
  std::string label() const override { return "Python file object"; }

 private:
  SharedObject file_;
};

/** The path in a str or os.PathLike, or none for a file object. */
std::optional<std::string> path_of(nb::handle file, const char* op, const char* method) {
  if (nb::isinstance<nb::str>(file)) return nb::cast<std::string>(file);
  if (nb::hasattr(file, "__fspath__")) return nb::cast<std::string>(file.attr("__fspath__")());
  if (!nb::hasattr(file, method)) {
    throw std::invalid_argument("[" + std::string(op) +
                                "] Input must be a file-like object, or string");
  }
  return std::nullopt;
}

/** A file of the disk that Python only reads is mapped, and read when values are asked for. One
 * that may be written through the same object could change before; a compressed one holds other
 * bytes. */
std::shared_ptr<io::BytesReader> mapped_file(nb::handle file) {
  nb::object module = nb::module_::import_("io");
  nb::object kind = nb::borrow(file.type()), raw = nb::borrow(file);
  if (kind.is(module.attr("BufferedReader"))) {
    raw = file.attr("raw");
    kind = nb::borrow(raw.type());
  }
  if (!kind.is(module.attr("FileIO")) || nb::cast<bool>(raw.attr("closed")) ||
      nb::cast<bool>(raw.attr("writable")())) {
    return nullptr;
  }
  auto bytes = io::Bytes::mapped(nb::cast<int>(raw.attr("fileno")()));
  if (!bytes) return nullptr;
  return std::make_shared<io::BytesReader>(bytes, nb::cast<size_t>(file.attr("tell")()),
                                           "Python file object");
}

std::string with_extension(std::string path, const char* extension) {
  if (!path.ends_with(extension)) path += extension;
  return path;
}

void evaluate(std::vector<mx::array> arrays) {
  nb::gil_scoped_release release;
  mx::eval(std::move(arrays));
}

template <typename Map>
nb::dict dict_of(const Map& map) {
  nb::dict out;
  for (const auto& [k, v] : map) out[k.c_str()] = nb::cast(v);
  return out;
}

ArrayMap array_map(nb::handle dict, const char* op) {
  ArrayMap out;
  if (!PyDict_Check(dict.ptr()))
    throw_type_error(std::string(op) + "(): a dict of arrays is needed.");
  for (auto [k, v] : nb::borrow<nb::dict>(dict)) {
    mx::array* a = array_ptr(v);
    if (!a)
      throw_type_error(std::string(op) + "(): values must be arrays, but one is a " +
                       py_type_name(v) + ".");
    out.insert_or_assign(nb::cast<std::string>(k), *a);
  }
  return out;
}

// ---- npz: a zip archive of npy files

nb::dict load_npz(nb::handle file) {
  nb::object zipfile = nb::module_::import_("zipfile");
  nb::object bytes_io = nb::module_::import_("io").attr("BytesIO");
  nb::object archive = zipfile.attr("ZipFile")(file);
  nb::dict out;
  for (nb::handle name : archive.attr("namelist")()) {
    std::string key = nb::cast<std::string>(name);
    nb::object member = bytes_io(archive.attr("read")(name));
    mx::array a = mx::load(std::make_shared<FileReader>(member));
    evaluate({a});
    if (key.ends_with(".npy")) key.resize(key.size() - 4);
    out[key.c_str()] = nb::steal(wrap_array(a));
  }
  archive.attr("close")();
  return out;
}

void save_npz(nb::handle file, const nb::args& args, const nb::kwargs& kwargs, bool compressed) {
  nb::object zipfile = nb::module_::import_("zipfile");
  nb::object os = nb::module_::import_("os");
  nb::dict arrays;
  for (auto [k, v] : kwargs) arrays[k] = v;
  for (size_t i = 0; i < args.size(); ++i) {
    std::string name = "arr_" + std::to_string(i);
    if (kwargs.contains(name.c_str()))
      throw std::invalid_argument("[savez] Two arrays would be named " + name + ".");
    arrays[name.c_str()] = args[i];
  }
  auto path = path_of(file, "savez", "write");
  nb::object target = nb::borrow(file);
  std::string temporary;
  if (path) {
    // The old file stays whole until the new one is.
    *path = with_extension(*path, ".npz");
    temporary = *path + ".tmp" + std::to_string(nb::cast<int64_t>(os.attr("getpid")()));
    target = nb::cast(temporary);
  }
  try {
    nb::object kind = zipfile.attr(compressed ? "ZIP_DEFLATED" : "ZIP_STORED");
    nb::object archive = zipfile.attr("ZipFile")(target, "w", kind);
    nb::object bytes_io = nb::module_::import_("io").attr("BytesIO");
    for (auto [k, v] : arrays) {
      mx::array a = make_array(v);
      evaluate({a});
      nb::object buffer = bytes_io();
      mx::save(std::make_shared<FileWriter>(buffer), a);
      archive.attr("writestr")(nb::str(k) + nb::str(".npy"), buffer.attr("getvalue")());
    }
    archive.attr("close")();
    if (path) os.attr("replace")(temporary, *path);
  } catch (...) {
    if (path) std::remove(temporary.c_str());
    throw;
  }
}

std::string format_of(const std::optional<std::string>& path,
                      const std::optional<std::string>& format) {
  if (format) return *format;
  size_t dot = path ? path->rfind('.') : std::string::npos;
  if (dot == std::string::npos)
    throw std::invalid_argument("[load] Could not infer file format from extension");
  return path->substr(dot + 1);
}

nb::object load(nb::handle file, const std::optional<std::string>& format_arg, bool return_metadata,
                mx::StreamOrDevice s) {
  auto path = path_of(file, "load", "read");
  std::string format = format_of(path, format_arg);
  if (return_metadata && (format == "npy" || format == "npz")) {
    throw std::invalid_argument("[load] metadata not supported for format " + format);
  }
  auto reader = [&] { return std::make_shared<FileReader>(nb::borrow(file)); };
  auto mapped = path ? nullptr : mapped_file(file);
  auto leave_position = [&] { file.attr("seek")(mapped->tell()); };
  if (format == "npy") {
    if (path) return nb::steal(wrap_array(mx::load(*path, s)));
    mx::array a = mapped ? mx::load(mapped, s) : mx::load(reader(), s);
    if (mapped) {
      leave_position();
    } else {
      evaluate({a});  // the file may be closed by the time the value is needed
    }
    return nb::steal(wrap_array(a));
  }
  if (format == "npz") return load_npz(path ? nb::object(nb::cast(*path)) : nb::borrow(file));
  if (format == "safetensors") {
    auto [arrays, metadata] = path     ? mx::load_safetensors(*path, s)
                              : mapped ? mx::load_safetensors(mapped, s)
                                       : mx::load_safetensors(reader(), s);
    if (mapped) {
      leave_position();
    } else if (!path) {
      std::vector<mx::array> all;
      for (auto& [name, a] : arrays) all.push_back(a);
      evaluate(all);
    }
    if (return_metadata) return nb::make_tuple(dict_of(arrays), dict_of(metadata));
    return dict_of(arrays);
  }
  if (format == "gguf") {
    if (!path) throw std::invalid_argument("[load] GGUF files are loaded from a path.");
    auto [arrays, metadata] = mx::load_gguf(*path, s);
    if (!return_metadata) return dict_of(arrays);
    nb::dict meta;
    for (const auto& [key, value] : metadata) {
      if (auto* a = std::get_if<mx::array>(&value)) {
        meta[key.c_str()] = nb::cast(*a);
      } else if (auto* text = std::get_if<std::string>(&value)) {
        meta[key.c_str()] = nb::cast(*text);
      } else if (auto* texts = std::get_if<std::vector<std::string>>(&value)) {
        meta[key.c_str()] = nb::cast(*texts);
      } else {
        meta[key.c_str()] = nb::none();
      }
    }
    return nb::make_tuple(dict_of(arrays), meta);
  }
  throw std::invalid_argument("[load] Unknown file format " + format);
}

std::unordered_map<std::string, mx::GGUFMetaData> gguf_metadata(nb::handle metadata) {
  std::unordered_map<std::string, mx::GGUFMetaData> out;
  if (metadata.is_none()) return out;
  for (auto [k, v] : nb::borrow<nb::dict>(metadata)) {
    std::string key = nb::cast<std::string>(k);
    if (nb::isinstance<nb::str>(v)) {
      out.insert_or_assign(key, nb::cast<std::string>(v));
    } else if (mx::array* a = array_ptr(v)) {
      out.insert_or_assign(key, *a);
    } else {
      out.insert_or_assign(key, nb::cast<std::vector<std::string>>(v));
    }
  }
  return out;
}

}  // namespace

void bind_io(nb::module_& m) {
  m.def("load", &load, nb::arg(), "format"_a.none() = nb::none(), "return_metadata"_a = false,
        STREAM_ONLY,
        nb::sig("def load(file: typing.Any, /, format: str | None = None, return_metadata: bool = "
                "False, *, stream: StreamOrDevice = None) -> array | dict[str, array] | "
                "tuple[dict[str, array], dict[str, Any]]"),
        R"(
Loads an array (``.npy``) or a dict of arrays (``.npz``, ``.safetensors``, ``.gguf``).

``file`` is a path or a file open for reading; ``format`` is needed where there is no extension.
With ``return_metadata`` (the last two formats) a tuple of the arrays and a dict of metadata.)");
  m.def(
      "save",
      [](nb::handle file, const mx::array& a) {
        if (auto path = path_of(file, "save", "write")) {
          std::string target = with_extension(*path, ".npy");
          nb::gil_scoped_release release;
          return mx::save(target, a);
        }
        auto writer = std::make_shared<FileWriter>(nb::borrow(file));
        nb::gil_scoped_release release;
        mx::save(writer, a);
      },
      "file"_a, "arr"_a, nb::sig("def save(file: typing.Any, arr: array) -> None"),
      "Saves an array as ``.npy``; the extension is added if it is missing.");
  for (bool compressed : {false, true}) {
    const char* name = compressed ? "savez_compressed" : "savez";
    m.def(
        name,
        [compressed](nb::handle file, const nb::args& args, const nb::kwargs& kwargs) {
          save_npz(file, args, kwargs, compressed);
        },
        nb::arg("file"), nb::arg("args"), nb::arg("kwargs"),
        nb::sig(keep_text(std::string("def ") + name + "(file: typing.Any, *args, **kwargs)")),
        "Saves arrays as ``.npz``, named by keyword, or ``arr_0``, ``arr_1``, ... by position.");
  }
  m.def(
      "save_safetensors",
      [](nb::handle file, nb::handle arrays,
         std::optional<std::unordered_map<std::string, std::string>> metadata) {
        auto map = array_map(arrays, "save_safetensors");
        auto meta = metadata.value_or(std::unordered_map<std::string, std::string>{});
        if (auto path = path_of(file, "save_safetensors", "write")) {
          std::string target = with_extension(*path, ".safetensors");
          nb::gil_scoped_release release;
          return mx::save_safetensors(target, std::move(map), std::move(meta));
        }
        auto writer = std::make_shared<FileWriter>(nb::borrow(file));
        nb::gil_scoped_release release;
        mx::save_safetensors(writer, std::move(map), std::move(meta));
      },
      "file"_a, "arrays"_a, "metadata"_a.none() = nb::none(),
      nb::sig("def save_safetensors(file: typing.Any, arrays: dict[str, array], metadata: "
              "dict[str, str] | None = None)"),
      "Saves a dict of arrays as ``.safetensors``; the extension is added if it is missing.");
  m.def(
      "save_gguf",
      [](nb::handle file, nb::handle arrays, nb::handle metadata) {
        auto path = path_of(file, "save_gguf", "__fspath__");
        if (!path) throw std::invalid_argument("[save_gguf] GGUF files are saved to a path.");
        auto map = array_map(arrays, "save_gguf");
        auto meta = gguf_metadata(metadata);
        std::string target = with_extension(*path, ".gguf");
        nb::gil_scoped_release release;
        mx::save_gguf(target, std::move(map), std::move(meta));
      },
      "file"_a, "arrays"_a, "metadata"_a.none() = nb::none(),
      nb::sig("def save_gguf(file: typing.Any, arrays: dict[str, array], metadata: dict[str, array "
              "| str | list[str]])"),
      "Saves a dict of arrays, and metadata, as ``.gguf``; the extension is added if it is "
      "missing.");
}
#else
void bind_io(nb::module_&) {}
#endif
