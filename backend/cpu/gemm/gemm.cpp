// backend/cpu/gemm/gemm.cpp: from arguments to problems: joins batches, picks the kernel, shares
// the work of small matrices.
#include "backend/cpu/gemm/gemm.h"

#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>

#include "backend/cpu/gemm/problem.h"

namespace mlx::core::cpu {

namespace gemm_detail {

namespace {

/** Working memory a thread keeps between calls, one buffer a slot. */
struct Buffers {
  struct Buffer {
    void* data = nullptr;
    size_t size = 0;
    bool taken = false;
  };
  Buffer slot[static_cast<int>(Slot::count)];
  ~Buffers() {
    for (auto& b : slot) std::free(b.data);
  }
};
constexpr size_t kKeep = size_t(32) << 20;
thread_local Buffers buffers;

void* allocate(size_t bytes) {
  void* memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* take_scratch(Slot slot, size_t bytes) {
  auto& b = buffers.slot[static_cast<int>(slot)];
  // Larger than what is kept, or one product inside another: memory of its own.
  if (b.taken || bytes > kKeep) return allocate(bytes);
  if (b.size < bytes) {
    std::free(b.data);
    b.data = nullptr;
    b.size = 0;
    b.data = allocate(bytes);
    b.size = bytes;
  }
  b.taken = true;
  return b.data;
}

void drop_scratch(Slot slot, void* memory) {
  auto& b = buffers.slot[static_cast<int>(slot)];
  if (memory == b.data)
    b.taken = false;
  else
    std::free(memory);
}

}  // namespace gemm_detail

namespace {

using gemm_detail::Problem;
using Run = void (*)(const Problem&);

void run_bfloat16_best(const Problem& p) {
  if (!gemm_detail::run_bfloat16_pairs(p)) gemm_detail::run_bfloat16(p);
}

Run kernel_of(Dtype dtype) {
  using namespace gemm_detail;
  switch (dtype.val()) {
    case Dtype::Val::float32:
      return run_float32;
    case Dtype::Val::float64:
      return run_float64;
    case Dtype::Val::float16:
      return run_float16;
    case Dtype::Val::bfloat16:
      return run_bfloat16_best;
    case Dtype::Val::complex64:
      return run_complex64;
    case Dtype::Val::int8:
      return run_int8;
    case Dtype::Val::int16:
      return run_int16;
    case Dtype::Val::int32:
      return run_int32;
    case Dtype::Val::int64:
      return run_int64;
    case Dtype::Val::uint8:
      return run_uint8;
    case Dtype::Val::uint16:
      return run_uint16;
    case Dtype::Val::uint32:
      return run_uint32;
    case Dtype::Val::uint64:
      return run_uint64;
    case Dtype::Val::bool_:
      break;
  }
  throw std::invalid_argument(std::string("[gemm] no kernel for dtype ") + dtype_to_string(dtype) +
                              ".");
}

template <class T>
T* advance(T* data, int64_t elements, Dtype dtype) {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  return static_cast<Byte*>(data) + elements * dtype.size();
}

int64_t offset_of(const GemmMatrix& x, int64_t i) {
  return x.offsets ? x.offsets[i] : i * x.batch_stride;
}

/** Offsets that are evenly spaced are a stride. */
void simplify(GemmMatrix& x, int64_t batch, Dtype dtype) {
  if (!x.offsets) return;
  const int64_t step = batch > 1 ? x.offsets[1] - x.offsets[0] : 0;
  for (int64_t i = 1; i < batch; ++i)
    if (x.offsets[i] != x.offsets[i - 1] + step) return;
  x.data = advance(x.data, x.offsets[0], dtype);
  x.batch_stride = step;
  x.offsets = nullptr;
}

/** A batch that shares B is one product with more rows, where A's, C's and D's rows are evenly
 *  spaced over the whole batch. */
void join_rows(GemmArgs& g) {
  if (g.batch <= 1 || g.c_offsets) return;
  if (g.a.offsets || g.b.offsets || g.b.batch_stride != 0) return;
  if (g.m > 1 && g.a.batch_stride != g.m * g.a.row_stride) return;
  if (g.m > 1 && g.c_batch_stride != g.m * g.c_row_stride) return;
  if (g.beta != 0) {
    if (g.d.offsets) return;
    if (g.m > 1 && g.d.batch_stride != g.m * g.d.row_stride) return;
  }
  if (g.m == 1) {
    g.a.row_stride = g.a.batch_stride;
    g.c_row_stride = g.c_batch_stride;
    g.d.row_stride = g.d.batch_stride;
  }
  // C's rows must not overlap.
  if (g.c_row_stride < g.n) return;
  g.m *= g.batch;
  g.batch = 1;
}

}  // namespace

void gemm(const GemmArgs& args) {
  GemmArgs g = args;
  const Run run = kernel_of(g.dtype);
  if (g.batch <= 0 || g.m <= 0 || g.n <= 0) return;
  if (g.c_row_stride == 0) g.c_row_stride = g.n;
  if (g.c_batch_stride == 0) g.c_batch_stride = g.m * g.c_row_stride;
  simplify(g.a, g.batch, g.dtype);
  simplify(g.b, g.batch, g.dtype);
  if (g.beta != 0) simplify(g.d, g.batch, g.dtype);
  join_rows(g);

  auto problem = [&](int64_t i) {
    Problem p;
    p.m = g.m, p.n = g.n, p.k = g.k;
    p.a = advance(g.a.data, offset_of(g.a, i), g.dtype);
    p.a_row = g.a.row_stride, p.a_col = g.a.col_stride;
    p.b = advance(g.b.data, offset_of(g.b, i), g.dtype);
    p.b_row = g.b.row_stride, p.b_col = g.b.col_stride;
    p.c = advance(g.c, g.c_offsets ? g.c_offsets[i] : i * g.c_batch_stride, g.dtype);
    p.ldc = g.c_row_stride;
    p.alpha = g.alpha, p.beta = g.beta;
    p.d = g.beta != 0 ? advance(g.d.data, offset_of(g.d, i), g.dtype) : nullptr;
    p.d_row = g.d.row_stride, p.d_col = g.d.col_stride;
    return p;
  };

  // A dimension of one element can have any stride: take the one kernels like.
  if (g.k == 1) g.a.col_stride = 1, g.b.row_stride = g.n;
  if (g.m == 1) g.a.row_stride = g.k;
  if (g.n == 1) g.b.col_stride = g.b.row_stride == 1 ? g.k : 1;

  const double work = 2.0 * g.m * g.n * g.k;
  if (g.batch == 1) {
    run(problem(0));
  } else if (work > 2e7 && g.batch < 8) {
    for (int64_t i = 0; i < g.batch; ++i) run(problem(i));
  } else {
    // Matrices whole, as many a chunk as make it worth handing out, and as equal as can be.
    const double cost = work + 16.0 * (g.m * g.k + g.k * g.n + g.m * g.n) + 3000;
    const int64_t most = std::max<int64_t>(1, static_cast<int64_t>(1e6 / cost));
    const int64_t chunks = (g.batch + most - 1) / most, grain = (g.batch + chunks - 1) / chunks;
    parallel_range(g.batch, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) run(problem(i));
    });
  }
}

std::vector<int64_t> batch_offsets(const std::vector<int64_t>& shape,
                                   const std::vector<int64_t>& strides) {
  int64_t count = 1;
  for (int64_t s : shape) count *= s;
  std::vector<int64_t> offsets(std::max<int64_t>(count, 0), 0);
  int64_t inner = 1;  // product of the dimensions after d
  for (size_t d = shape.size(); d-- > 0; inner *= shape[d])
    for (int64_t i = 0; i < count; ++i) offsets[i] += i / inner % shape[d] * strides[d];
  return offsets;
}

}  // namespace mlx::core::cpu
