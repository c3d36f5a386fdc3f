// python/src/distributed.cpp: mx.distributed, work shared among processes.
#include "mlx/distributed/distributed.h"

#include <nanobind/stl/string.h>

#include <cstring>

#include "bind.h"
#include "define.h"
#include "mlx/distributed/ops.h"

namespace {

namespace dist = mx::distributed;

using Collective = mx::array (*)(const mx::array&, std::optional<dist::Group>, mx::StreamOrDevice);

std::optional<dist::Group> to_group(const dist::Group* group) {
  return group ? std::optional(*group) : std::nullopt;
}

#define GROUP_SIG "*, group: Group | None = None, " STREAM_SIG
#define GROUP_ARGS nb::kw_only(), "group"_a.none() = nb::none(), "stream"_a.none() = nb::none()

void def_collective(nb::module_& m, const char* name, Collective f, const char* doc) {
  def_function(
      m, name, "(x: array, " GROUP_SIG, doc,
      [f](nb::handle x, const dist::Group* group, mx::StreamOrDevice s) {
        return f(to_array(x), to_group(group), s);
      },
      "x"_a, GROUP_ARGS);
}

/** A Python function of (rank, size) that makes functions of (bytes, n), as C++ calls it. */
dist::AllGatherFactory to_factory(nb::handle h) {
  if (h.is_none()) return nullptr;
  nb::object factory = nb::borrow(h);
  return [factory](int rank, int size) -> dist::AllGatherFn {
    nb::gil_scoped_acquire gil;
    nb::object gather = factory(rank, size);
    return [gather, size](const char* from, char* to, size_t n) {
      nb::gil_scoped_acquire gil;
      auto all = nb::cast<nb::bytes>(gather(nb::bytes(from, n), n));
      if (all.size() != n * static_cast<size_t>(size)) {
        throw std::invalid_argument("[init] all_gather gave " + std::to_string(all.size()) +
                                    " bytes instead of " + std::to_string(n * size) + ".");
      }
      std::memcpy(to, all.c_str(), all.size());
    };
  };
}

void bind_groups(nb::module_& m) {
  nb::class_<dist::Group>(m, "Group", "Processes that work together, numbered from 0.")
      .def("rank", &dist::Group::rank, "The number of this process.")
      .def("size", &dist::Group::size, "How many processes there are.")
      .def("split", &dist::Group::split, "color"_a, "key"_a = -1,
           nb::sig("def split(self, color: int, key: int = -1) -> Group"), R"(
The group of the processes that give the same ``color``, ordered by ``key`` (their rank if negative).

Raises ``RuntimeError`` for a group of one process.)")
      .def("__repr__", [](const dist::Group& g) {
        return "Group(rank=" + std::to_string(g.rank()) + ", size=" + std::to_string(g.size()) +
               ")";
      });
  m.def(
      "is_available",
      [](const std::string& backend) {
        return backend == "any" ? dist::is_available() : dist::is_available(backend);
      },
      "backend"_a = "any", nb::sig("def is_available(backend: str = 'any') -> bool"),
      "Whether this build can reach other processes, through any backend or the one named.");
  m.def(
      "init",
      [](bool strict, const std::string& backend, nb::handle factory) {
        return dist::init(strict, backend, to_factory(factory));
      },
      "strict"_a = false, "backend"_a = "any", nb::kw_only(),
      "all_gather_factory"_a.none() = nb::none(),
      nb::sig("def init(strict: bool = False, backend: str = 'any', *, all_gather_factory: "
              "Callable[[int, int], Callable[[bytes, int], bytes]] | None = None) -> Group"),
      R"(
The group of all processes.

Where no backend (``'mpi'``, ``'ring'``, ``'nccl'``, ``'jaccl'``, or ``'any'`` of them) can be
started, it is a group of this process alone; if ``strict``, ``RuntimeError`` is raised instead.
``all_gather_factory`` is for ``'jaccl'`` only.

Example:
  >>> mx.distributed.init().size()
  1)");
}

}  // namespace

void bind_distributed(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("distributed", "Operations among processes.");
  bind_groups(m);
  def_collective(m, "all_sum", &dist::all_sum, R"(
The sum of ``x`` over all processes of the group. In a group of one: ``x``.

Example:
  >>> mx.distributed.all_sum(mx.array([1, 2]))
  array([1, 2], dtype=int32))");
  def_collective(m, "all_max", &dist::all_max,
                 "The elementwise maximum of ``x`` over all processes of the group.");
  def_collective(m, "all_min", &dist::all_min,
                 "The elementwise minimum of ``x`` over all processes of the group.");
  def_collective(m, "all_gather", &dist::all_gather,
                 "The ``x`` of all processes, one after the other along the first axis.");
  def_collective(m, "sum_scatter", &dist::sum_scatter,
                 "This process's share, along the first axis, of the sum of ``x``.");
  def_function(
      m, "send", "(x: array, dst: int, " GROUP_SIG,
      "Sends ``x`` to the process ``dst`` when the result, equal to ``x``, is evaluated. Raises "
      "``ValueError`` in a group of one.",
      [](nb::handle x, int dst, const dist::Group* group, mx::StreamOrDevice s) {
        return dist::send(to_array(x), dst, to_group(group), s);
      },
      "x"_a, "dst"_a, GROUP_ARGS);
  def_function(
      m, "recv", "(shape: Sequence[int], dtype: Dtype, src: int, " GROUP_SIG,
      "The array of this shape and dtype that the process ``src`` sends. Raises ``ValueError`` in "
      "a group of one.",
      [](nb::handle shape, mx::Dtype dtype, int src, const dist::Group* group,
         mx::StreamOrDevice s) {
        return dist::recv(to_shape(shape, "recv"), dtype, src, to_group(group), s);
      },
      "shape"_a, "dtype"_a, "src"_a, GROUP_ARGS);
  def_function(
      m, "recv_like", "(x: array, src: int, " GROUP_SIG,
      "The array that the process ``src`` sends, of the shape and dtype of ``x``.",
      [](nb::handle x, int src, const dist::Group* group, mx::StreamOrDevice s) {
        return dist::recv_like(to_array(x), src, to_group(group), s);
      },
      "x"_a, "src"_a, GROUP_ARGS);
}
