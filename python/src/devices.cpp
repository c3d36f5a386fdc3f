// python/src/devices.cpp: devices, streams, and figures of memory.
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/variant.h>

#include <sstream>

#include "bind.h"
#include "convert.h"
#include "core/gpu.h"
#include "mlx/memory.h"
#include "mlx/transforms.h"

namespace {

template <typename T>
std::string as_text(const T& v) {
  std::ostringstream os;
  os << v;
  return os.str();
}

mx::Device to_device(const std::variant<mx::Device, mx::Device::DeviceType>& d) {
  if (auto* device = std::get_if<mx::Device>(&d)) return *device;
  return mx::Device(std::get<mx::Device::DeviceType>(d));
}
using DeviceArg = std::variant<mx::Device, mx::Device::DeviceType>;

/** `with mx.stream(s):` */
struct PyStreamContext {
  mx::StreamOrDevice target;
  std::optional<mx::StreamContext> active;
};

// A device that is not there is refused when it is asked for, not at the first op.
void check_available(const mx::Device& d, const char* op) {
  if (!mx::is_available(d)) {
    throw std::invalid_argument("[" + std::string(op) + "] Cannot use " + as_text(d) +
                                ": this build has no such device.");
  }
}

}  // namespace

void bind_devices(nb::module_& m) {
  auto device_type = nb::enum_<mx::Device::DeviceType>(m, "DeviceType", "Kinds of devices.")
                         .value("cpu", mx::Device::cpu)
                         .value("gpu", mx::Device::gpu)
                         .export_values()
                         .def(
                             "__eq__",
                             [](mx::Device::DeviceType a, nb::handle other) {
                               mx::Device::DeviceType b;
                               if (nb::try_cast(other, b)) return a == b;
                               if (nb::isinstance<mx::Device>(other))
                                 return nb::cast<mx::Device>(other) == a;
                               return false;
                             },
                             nb::arg().none());
  // Defining __eq__ takes the hash of the enumeration away.
  device_type.def("__hash__", [](mx::Device::DeviceType t) { return static_cast<int64_t>(t); });

  nb::class_<mx::Device>(m, "Device", "A place where arrays are computed: the CPU or a GPU.")
      .def(nb::init<mx::Device::DeviceType, int>(), "type"_a, "index"_a = 0)
      .def_ro("type", &mx::Device::type)
      .def_ro("index", &mx::Device::index)
      .def("__repr__", [](const mx::Device& d) { return as_text(d); })
      .def("__hash__",
           [](const mx::Device& d) { return static_cast<int64_t>(d.type) * 1024 + d.index; })
      .def(
          "__eq__",
          [](const mx::Device& d, nb::handle other) {
            mx::Device::DeviceType t;
            if (nb::isinstance<mx::Device>(other)) return d == nb::cast<mx::Device>(other);
            return nb::try_cast(other, t) && d.type == t;
          },
          nb::arg().none());
  nb::class_<mx::Stream>(m, "Stream", "A queue of work on a device; its tasks run in order.")
      .def_ro("device", &mx::Stream::device)
      .def_ro("index", &mx::Stream::index)
      .def("__repr__", [](const mx::Stream& s) { return as_text(s); })
      .def("__hash__", [](const mx::Stream& s) { return static_cast<int64_t>(s.index); })
      .def(
          "__eq__",
          [](const mx::Stream& s, nb::handle other) {
            return nb::isinstance<mx::Stream>(other) && s == nb::cast<mx::Stream>(other);
          },
          nb::arg().none());
  nb::class_<mx::ThreadLocalStream>(m, "ThreadLocalStream",
                                    "A stream of its own for each thread that uses it.")
      .def_prop_ro("device", [](const mx::ThreadLocalStream& s) { return s.device; })
      .def("__repr__",
           [](const mx::ThreadLocalStream& s) { return "ThreadLocal" + as_text<mx::Stream>(s); })
      .def("__hash__", [](const mx::ThreadLocalStream& s) { return static_cast<int64_t>(s.index); })
      .def(
          "__eq__",
          [](const mx::ThreadLocalStream& s, nb::handle other) {
            return nb::isinstance<mx::ThreadLocalStream>(other) &&
                   static_cast<const mx::Stream&>(s) == nb::cast<mx::ThreadLocalStream>(other);
          },
          nb::arg().none());

  nb::class_<PyStreamContext>(m, "StreamContext", R"(
Makes a stream or device the default while a ``with`` block runs. See :func:`stream`.)")
      .def(
          "__init__",
          [](PyStreamContext* self, mx::StreamOrDevice s) {
            new (self) PyStreamContext{s, std::nullopt};
          },
          "s"_a,
          nb::sig(
              "def __init__(self, s: Stream | ThreadLocalStream | Device | DeviceType) -> None"))
      .def("__enter__", [](PyStreamContext& c) { c.active.emplace(c.target); })
      .def(
          "__exit__",
          [](PyStreamContext& c, nb::handle, nb::handle, nb::handle) { c.active.reset(); },
          "exc_type"_a.none() = nb::none(), "exc_value"_a.none() = nb::none(),
          "traceback"_a.none() = nb::none(),
          nb::sig(
              "def __exit__(self, exc_type: type | None = None, exc_value: object | None = None, "
              "traceback: object | None = None) -> None"));
  m.def(
      "stream",
      [](mx::StreamOrDevice s) {
        if (std::holds_alternative<std::monostate>(s))
          throw_type_error("[stream] a stream or device is needed.");
        mx::to_stream(s);
        return PyStreamContext{s, std::nullopt};
      },
      "s"_a,
      nb::sig("def stream(s: Stream | ThreadLocalStream | Device | DeviceType) -> StreamContext"),
      R"(
A context in which operations go to the given stream or device unless told otherwise.

Example:
  >>> with mx.stream(mx.cpu):
  ...     y = mx.exp(mx.zeros(2)))");

  m.def(
      "default_device", [] { return mx::default_device(); },
      "The device that operations go to by default.");
  m.def(
      "set_default_device",
      [](const DeviceArg& d) {
        check_available(to_device(d), "set_default_device");
        mx::set_default_device(to_device(d));
      },
      "device"_a, nb::sig("def set_default_device(device: Device | DeviceType) -> None"),
      "Sets the default device. Raises ``ValueError`` if there is no such device.");
  m.def(
      "is_available", [](const DeviceArg& d) { return mx::is_available(to_device(d)); }, "device"_a,
      nb::sig("def is_available(device: Device | DeviceType) -> bool"),
      "Whether the device can be used.");
  m.def("device_count", &mx::device_count, "device_type"_a,
        nb::sig("def device_count(device_type: DeviceType) -> int"),
        "The number of devices of a kind.");
  m.def(
      "device_info",
      [](const std::optional<DeviceArg>& d) {
        mx::Device device = d ? to_device(*d) : mx::default_device();
        nb::dict out;
        if (!mx::is_available(device)) return out;
        for (const auto& [key, value] : mx::device_info(device)) {
          std::visit([&, name = key.c_str()](const auto& v) { out[name] = nb::cast(v); }, value);
        }
        return out;
      },
      "d"_a.none() = nb::none(),
      nb::sig("def device_info(d: None | Device | DeviceType = None) -> dict[str, str | int]"),
      "Facts about a device (the default one if none is given), by name.");

  m.def(
      "default_stream", [](const DeviceArg& d) { return mx::default_stream(to_device(d)); },
      "device"_a, nb::sig("def default_stream(device: Device | DeviceType) -> Stream"),
      "The stream that operations on a device go to by default.");
  m.def("set_default_stream", &mx::set_default_stream, "stream"_a,
        nb::sig("def set_default_stream(stream: Stream) -> None"),
        "Makes ``stream`` the default of its device. Does not change the default device.");
  m.def(
      "new_stream", [](const DeviceArg& d) { return mx::new_stream(to_device(d)); }, "device"_a,
      nb::sig("def new_stream(device: Device | DeviceType) -> Stream"),
      "A new queue of work on a device.");
  m.def(
      "new_thread_unsafe_stream",
      [](const DeviceArg& d) { return mx::new_thread_unsafe_stream(to_device(d)); }, "device"_a,
      nb::sig("def new_thread_unsafe_stream(device: Device | DeviceType) -> Stream"),
      "Like :func:`new_stream`; here every stream may be used from any thread.");
  m.def(
      "new_thread_local_stream",
      [](const DeviceArg& d) { return mx::new_thread_local_stream(to_device(d)); }, "device"_a,
      nb::sig("def new_thread_local_stream(device: Device | DeviceType) -> ThreadLocalStream"),
      "A handle behind which each thread has a stream of its own.");
  m.def("clear_streams", &mx::clear_streams, nb::call_guard<nb::gil_scoped_release>(),
        nb::sig("def clear_streams() -> None"),
        "Waits for all streams and drops those made by the user.");
  m.def(
      "synchronize",
      [](mx::StreamOrDevice s) {
        nb::gil_scoped_release release;
        if (std::holds_alternative<std::monostate>(s)) {
          mx::synchronize();
        } else {
          mx::synchronize(mx::to_stream(s));
        }
      },
      "stream"_a.none() = nb::none(),
      nb::sig("def synchronize(stream: Stream | ThreadLocalStream | Device | DeviceType | None = "
              "None) -> None"),
      "Waits until all work on the stream (the default one if none is given) is done.");
}

void bind_memory(nb::module_& m) {
  m.def("get_active_memory", &mx::get_active_memory, "Bytes held by arrays now.");
  m.def("get_peak_memory", &mx::get_peak_memory,
        "The most bytes held by arrays at a time since the start or :func:`reset_peak_memory`.");
  m.def("reset_peak_memory", &mx::reset_peak_memory, nb::sig("def reset_peak_memory() -> None"),
        "Starts the measurement of the peak again from what is held now.");
  m.def("get_cache_memory", &mx::get_cache_memory, "Bytes kept for reuse, not held by any array.");
  m.def("set_memory_limit", &mx::set_memory_limit, "limit"_a,
        "Sets how many bytes arrays should hold at most; returns the previous limit. Beyond it the "
        "cache is emptied first.");
  m.def("get_memory_limit", &mx::get_memory_limit,
        "The limit set by :func:`set_memory_limit`, in bytes.");
  m.def("set_cache_limit", &mx::set_cache_limit, "limit"_a,
        "Sets how many bytes are kept for reuse at most; returns the previous limit. 0 turns it "
        "off.");
  m.def("set_wired_limit", &mx::set_wired_limit, "limit"_a,
        "Sets how many bytes may be pinned, where the system does so; returns the previous limit.");
  m.def("clear_cache", &mx::clear_cache, nb::sig("def clear_cache() -> None"),
        "Gives the memory kept for reuse back to the system.");

  nb::module_ metal =
      m.def_submodule("metal", "Kept for programs written for Apple's GPU: never available here.");
  metal.def(
      "is_available", [] { return false; }, "Always False.");
  metal.def(
      "device_info", [] { return nb::dict(); },
      nb::sig("def device_info() -> dict[str, str | int]"), "Always empty.");
  for (const char* name :
       {"get_active_memory", "get_peak_memory", "reset_peak_memory", "get_cache_memory",
        "set_memory_limit", "set_cache_limit", "set_wired_limit", "clear_cache"}) {
    metal.attr(name) = m.attr(name);
  }
  auto no_metal = [] { throw std::runtime_error("[metal] There is no Metal device here."); };
  metal.def(
      "start_capture", [no_metal](const std::string&) { no_metal(); }, "path"_a,
      nb::sig("def start_capture(path: str) -> None"), "Raises ``RuntimeError``.");
  metal.def("stop_capture", no_metal, nb::sig("def stop_capture() -> None"),
            "Raises ``RuntimeError``.");

  nb::module_ cuda = m.def_submodule("cuda", "NVIDIA devices.");
  cuda.def(
      "is_available",
      [] { return mx::gpu_backend() && std::string(mx::gpu_backend()->kind()) == "cuda"; },
      "Whether a CUDA device can be used.");
}
