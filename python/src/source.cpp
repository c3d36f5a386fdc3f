// python/src/source.cpp: the line of the user's program that makes a node.
//
// Nodes hold a number. The first node of a place costs a look at the line table and a copy of the
// file's name; the others find the number by code object and instruction.
#include <dlfcn.h>

#include <memory>
#include <mutex>
#include <vector>

#include "bind.h"
#include "convert.h"
#include "core/source.h"

namespace {

// Not part of the stable ABI, but exported by every CPython; where one is missing, less is known.
struct Interpreter {
  template <class F>
  static F find(const char* name) {
    return reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
  }
  int (*holds_lock)() = find<int (*)()>("PyGILState_Check");
  int (*instruction)(PyFrameObject*) = find<int (*)(PyFrameObject*)>("PyFrame_GetLasti");
  PyFrameObject* (*caller)(PyFrameObject*) =
      find<PyFrameObject* (*)(PyFrameObject*)>("PyFrame_GetBack");
};

class PythonSources final : public mx::SourceTracker {
 public:
  mx::SourceId here() noexcept override {
    if (!python_.holds_lock || !python_.holds_lock()) return 0;
    PyFrameObject* frame = PyEval_GetFrame();  // borrowed
    if (!frame) return 0;
    const Place* place = look_up(frame);
    if (!place) return 0;
    if (!place->ours || !python_.caller) return place->id;
    // A line of Mica's own layers: who called them is meant.
    mx::SourceId innermost = place->id;
    PyFrameObject* held = nullptr;
    while (place && place->ours) {
      PyFrameObject* next = python_.caller(held ? held : frame);
      Py_XDECREF(reinterpret_cast<PyObject*>(held));
      held = next;
      place = next ? look_up(next) : nullptr;
    }
    mx::SourceId id = place ? place->id : innermost;
    Py_XDECREF(reinterpret_cast<PyObject*>(held));
    return id;
  }

  std::optional<mx::Source> source(mx::SourceId id) override {
    std::lock_guard lock(mutex_);
    if (id == 0 || id > sources_.size()) return std::nullopt;
    return sources_[id - 1];
  }

  /** Files below these folders are Mica's own. */
  void set_own(std::vector<std::string> folders) { own_ = std::move(folders); }

 private:
  struct Place {
    PyCodeObject* code = nullptr;  // kept alive, so that no other takes its address
    int instruction = 0;
    mx::SourceId id = 0;
    bool ours = false;
  };
  static constexpr size_t kSlots = 1 << 16;  // places known: three quarters of it

  // Called with the interpreter's lock held.
  const Place* look_up(PyFrameObject* frame) noexcept {
    PyCodeObject* code = PyFrame_GetCode(frame);
    int at = python_.instruction ? python_.instruction(frame) : PyFrame_GetLineNumber(frame);
    size_t h = (reinterpret_cast<uintptr_t>(code) >> 4) * 0x9e3779b97f4a7c15ull +
               static_cast<size_t>(at) * 0xc2b2ae3d27d4eb4full;
    for (size_t i = (h >> 32) % kSlots;; i = (i + 1) % kSlots) {
      Place& p = places_[i];
      if (p.code == code && p.instruction == at) {
        Py_DECREF(reinterpret_cast<PyObject*>(code));
        return &p;
      }
      if (p.code) continue;
      if (known_ >= kSlots / 4 * 3 || !add(p, frame, code, at)) {
        Py_DECREF(reinterpret_cast<PyObject*>(code));
        return nullptr;
      }
      return &p;
    }
  }

  bool add(Place& p, PyFrameObject* frame, PyCodeObject* code, int at) noexcept {
    // An error that is on its way is none of ours.
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    bool added = false;
    try {
      nb::object name = nb::borrow(reinterpret_cast<PyObject*>(code)).attr("co_filename");
      mx::Source source{nb::cast<std::string>(name), PyFrame_GetLineNumber(frame)};
      bool ours = false;
      for (const auto& folder : own_) ours |= source.file.compare(0, folder.size(), folder) == 0;
      std::lock_guard lock(mutex_);
      sources_.push_back(std::move(source));
      p = {code, at, static_cast<mx::SourceId>(sources_.size()), ours};
      ++known_;
      added = true;
    } catch (...) {
      PyErr_Clear();
    }
    PyErr_Restore(type, value, trace);
    return added;
  }

  Interpreter python_;
  std::vector<std::string> own_;
  std::vector<Place> places_{kSlots};
  size_t known_ = 0;
  std::mutex mutex_;
  std::vector<mx::Source> sources_;  // by id - 1
};

}  // namespace

void bind_sources(nb::module_& m) {
  // Lives as long as the process: nodes may be made while it ends.
  static auto* sources = new PythonSources;
  std::vector<std::string> folders;
  for (nb::handle path : nb::module_::import_("mlx").attr("__path__"))
    folders.push_back(nb::cast<std::string>(path) + "/");
  sources->set_own(std::move(folders));
  mx::set_source_tracker(sources);

  m.def(
      "source_of",
      [](const mx::array& a) -> nb::object {
        auto found = mx::source_of(a.source());
        if (!found) return nb::none();
        return nb::make_tuple(found->file, found->line);
      },
      "array"_a, nb::sig("def source_of(array: array) -> tuple[str, int] | None"), R"(
The file and line of the program that made an array, ``None`` if they are not known (for data, and for arrays
made in C++). For what Mica's own layers and optimizers make it is the line that called them, for gradients
and batched operations that of the operation they come from. Errors met in evaluation, :class:`profile`,
:class:`check_finite` and the drawings of graphs name it.

Example:
    >>> file, line = mx.source_of(mx.exp(mx.array(1.0)))
    >>> line
    1
)");
}
