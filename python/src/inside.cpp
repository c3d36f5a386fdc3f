// python/src/inside.cpp: profiles, and stopping at the first value that is not finite.
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "bind.h"
#include "convert.h"
#include "core/observe.h"
#include "mlx/dtype_utils.h"
#include "mlx/utils.h"

namespace {

struct Record {
  std::string name;
  std::string shapes;
  std::vector<std::string> lines;
  double begin, seconds;  // begin: since the profile began
  size_t bytes_read, bytes_written;
  double flops;
  size_t thread;
};

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& t : texts) all.append(all.empty() ? "" : ", ").append(t);
  return all;
}

/** As JSON wants text between quotes. */
std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out;
}

/** Everything that happens between begin() and end(), in this process. */
class Profile final : public mx::Observer {
 public:
  void begin() {
    if (mx::observer()) throw std::runtime_error("[profile] Another profile or check is active.");
    start_ = mx::TaskView::Clock::now();
    mx::set_observer(this);
  }
  void end() {
    if (mx::observer() == this) mx::set_observer(nullptr);
  }
  ~Profile() override { end(); }

  void task(const mx::TaskView& t) override {
    auto seconds = [](auto d) { return std::chrono::duration<double>(d).count(); };
    std::string shapes;
    for (const auto& in : t.inputs) shapes.append(mx::to_string(in.shape()));
    shapes += "->";
    for (const auto& out : t.outputs) shapes.append(mx::to_string(out.shape()));
    Record r{t.name(),
             std::move(shapes),
             t.places(),
             seconds(t.begin - start_),
             seconds(t.end - t.begin),
             t.bytes_read,
             t.bytes_written,
             t.flops(),
             std::hash<std::thread::id>()(std::this_thread::get_id()) % 1000000};
    std::lock_guard lock(mutex_);
    records_.push_back(std::move(r));
  }

  std::vector<Record> records() {
    std::lock_guard lock(mutex_);
    return records_;
  }

  std::string table(int rows) {
    struct Total {
      double seconds = 0, flops = 0;
      size_t calls = 0, bytes = 0;
    };
    std::map<std::string, Total> by_name;
    double all = 0;
    for (const auto& r : records()) {
      std::string key = r.name;
      if (!r.lines.empty()) key.append("  ").append(joined(r.lines));
      Total& t = by_name[key];
      t.seconds += r.seconds;
      t.flops += r.flops;
      t.bytes += r.bytes_read + r.bytes_written;
      ++t.calls;
      all += r.seconds;
    }
    std::vector<std::pair<std::string, Total>> sorted(by_name.begin(), by_name.end());
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    std::ostringstream text;
    char line[200];
    std::snprintf(line, sizeof line, "%10s %6s %7s %9s %9s  %s\n", "ms", "share", "calls", "GB/s",
                  "GFLOP/s", "operations");
    text << line;
    for (size_t i = 0; i < sorted.size() && i < static_cast<size_t>(std::max(rows, 0)); ++i) {
      const auto& [name, t] = sorted[i];
      double s = std::max(t.seconds, 1e-12);
      std::snprintf(line, sizeof line, "%10.3f %5.1f%% %7zu %9.2f %9.2f  ", t.seconds * 1e3,
                    all > 0 ? 100 * t.seconds / all : 0.0, t.calls, t.bytes / s / 1e9,
                    t.flops / s / 1e9);
      text << line << name << "\n";
    }
    std::snprintf(line, sizeof line, "%10.3f ms in all\n", all * 1e3);
    text << line;
    return text.str();
  }

  /** The format of chrome://tracing, which Perfetto opens. */
  void save(const std::string& path) {
    std::ofstream out(path);
    out << "{\"traceEvents\":[";
    bool first = true;
    for (const auto& r : records()) {
      out << (first ? "\n" : ",\n") << "{\"ph\":\"X\",\"pid\":1,\"tid\":" << r.thread
          << ",\"ts\":" << r.begin * 1e6 << ",\"dur\":" << r.seconds * 1e6 << ",\"name\":\""
          << r.name << "\",\"args\":{\"shapes\":\"" << r.shapes << "\",\"lines\":\""
          << escaped(joined(r.lines)) << "\",\"bytes_read\":" << r.bytes_read
          << ",\"bytes_written\":" << r.bytes_written << ",\"flops\":" << r.flops << "}}";
      first = false;
    }
    out << "\n]}\n";
    out.close();
    if (!out) throw std::runtime_error("[profile] Failed to write " + path + ".");
  }

 private:
  mx::TaskView::Clock::time_point start_;
  std::mutex mutex_;
  std::vector<Record> records_;
};

struct NotFinite : std::runtime_error {
  using std::runtime_error::runtime_error;
};

bool all_finite(const mx::array& a) {
  if (!mx::issubdtype(a.dtype(), mx::inexact) || a.size() == 0) return true;
  bool good = true;
  mx::dispatch_all_types(a.dtype(), [&](auto tag) {
    using T = MLX_GET_TYPE(tag);
    // What lies in memory from the first element on; a view sees a part of what has been checked.
    if (!a.flags().contiguous) return;
    const T* p = a.data<T>();
    for (size_t i = 0; i < a.data_size() && good; ++i) {
      if constexpr (std::is_same_v<T, mx::complex64_t>) {
        good = std::isfinite(p[i].real()) && std::isfinite(p[i].imag());
      } else if constexpr (!std::is_integral_v<T>) {
        good = std::isfinite(static_cast<double>(p[i]));
      }
    }
  });
  return good;
}

class FiniteCheck final : public mx::Observer {
 public:
  void begin() {
    if (mx::observer())
      throw std::runtime_error("[check_finite] Another profile or check is active.");
    mx::set_observer(this);
  }
  void end() {
    if (mx::observer() == this) mx::set_observer(nullptr);
  }
  ~FiniteCheck() override { end(); }

  void task(const mx::TaskView& t) override {
    for (const auto& out : t.outputs) {
      if (all_finite(out)) continue;
      std::string shapes;
      for (const auto& in : t.inputs)
        shapes.append(shapes.empty() ? "" : ", ").append(mx::to_string(in.shape()));
      throw NotFinite("[check_finite] " + t.name() + " of shapes " + shapes + " gave a " +
                      mx::dtype_to_string(out.dtype()) + " of shape " + mx::to_string(out.shape()) +
                      " with a value that is not finite." +
                      (t.places().empty() ? "" : " [made at " + joined(t.places()) + "]"));
    }
  }
};

}  // namespace

void bind_inside(nb::module_& m) {
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const NotFinite& e) {
      PyErr_SetString(PyExc_FloatingPointError, e.what());
    }
  });
  nb::class_<Profile>(m, "profile", R"(
Records every task of evaluation while its ``with`` block runs: the operations that were fused into it, shapes,
the lines that made what it computes, bytes read and written, floating operations and time. Lazy work belongs to the block that evaluates it; the
tasks of compiled functions are recorded one by one. One profile or :class:`check_finite` at a time.

Example:
    >>> x = mx.ones((64, 64))
    >>> with mx.profile() as p:
    ...     mx.eval(mx.exp(x) @ x)
    >>> [r["name"] for r in p.records]
    ['Broadcast', 'Exp', 'Matmul']
)")
      .def(nb::init<>(), nb::sig("def __init__(self) -> None"))
      .def(
          "__enter__",
          [](nb::object self) {
            nb::cast<Profile&>(self).begin();
            return self;
          },
          nb::sig("def __enter__(self) -> profile"))
      .def(
          "__exit__", [](Profile& p, nb::object, nb::object, nb::object) { p.end(); },
          "exc_type"_a.none() = nb::none(), "exc_value"_a.none() = nb::none(),
          "traceback"_a.none() = nb::none(),
          nb::sig("def __exit__(self, exc_type: object | None = None, exc_value: object | None = "
                  "None, traceback: object | None = None) -> None"))
      .def_prop_ro(
          "records",
          [](Profile& p) {
            nb::list list;
            for (const auto& r : p.records()) {
              nb::dict d;
              d["name"] = r.name;
              d["shapes"] = r.shapes;
              d["lines"] = r.lines;
              d["begin"] = r.begin;
              d["seconds"] = r.seconds;
              d["bytes_read"] = r.bytes_read;
              d["bytes_written"] = r.bytes_written;
              d["flops"] = r.flops;
              list.append(d);
            }
            return list;
          },
          nb::sig("def records(self) -> list[dict[str, typing.Any]]"),
          "The tasks in the order in which they ended; times in seconds.")
      .def("table", &Profile::table, "rows"_a = 20,
           nb::sig("def table(self, rows: int = 20) -> str"),
           "Totals of tasks with the same operations from the same lines, the longest first.")
      .def("__str__", [](Profile& p) { return p.table(20); })
      .def("save", &Profile::save, "path"_a, nb::sig("def save(self, path: str) -> None"),
           "Writes a trace that Perfetto (ui.perfetto.dev) and chrome://tracing open.");

  nb::class_<FiniteCheck>(m, "check_finite", R"(
Stops evaluation at the first task whose result has an infinity or NaN while its ``with`` block runs, inside
compiled functions, too: ``FloatingPointError`` names the operations and shapes.

Example:
    >>> with mx.check_finite():
    ...     try:
    ...         mx.eval(mx.log(mx.array([1.0, 0.0])))
    ...     except FloatingPointError as error:
    ...         print("Log" in str(error))
    True
)")
      .def(nb::init<>(), nb::sig("def __init__(self) -> None"))
      .def(
          "__enter__",
          [](nb::object self) {
            nb::cast<FiniteCheck&>(self).begin();
            return self;
          },
          nb::sig("def __enter__(self) -> check_finite"))
      .def(
          "__exit__", [](FiniteCheck& c, nb::object, nb::object, nb::object) { c.end(); },
          "exc_type"_a.none() = nb::none(), "exc_value"_a.none() = nb::none(),
          "traceback"_a.none() = nb::none(),
          nb::sig("def __exit__(self, exc_type: object | None = None, exc_value: object | None = "
                  "None, traceback: object | None = None) -> None"));
}
