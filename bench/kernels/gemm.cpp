// bench/kernels/gemm.cpp: speed of the matrix products.
//   bench_gemm [dtype] [M N K [N|T [batch]]]     T: B is stored as N x K
// GFLOP/s is the best of several rounds; GB/s counts A, B and C once.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "backend/cpu/gemm/gemm.h"
#include "backend/cpu/parallel.h"

using namespace mlx::core;

namespace {

struct Shape {
  int64_t m, n, k;
  bool transposed;
  int64_t batch;
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void measure(Dtype dtype, const Shape& s) {
  const int64_t size = dtype.size();
  std::vector<char> a(s.batch * s.m * s.k * size), b(s.batch * s.k * s.n * size),
      c(s.batch * s.m * s.n * size);  // zeros: no kernel looks at values
  cpu::GemmArgs g;
  g.dtype = dtype;
  g.batch = s.batch;
  g.m = s.m, g.n = s.n, g.k = s.k;
  g.a = {a.data(), s.k, 1, s.m * s.k};
  g.b = {b.data(), s.transposed ? 1 : s.n, s.transposed ? s.k : 1, s.k * s.n};
  g.c = c.data();
  const double work = 2.0 * s.batch * s.m * s.n * s.k * (dtype == complex64 ? 4 : 1);
  cpu::gemm(g);
  double best = 1e30;
  const double start = now();
  for (int round = 0; round < 5 || (round < 50 && now() - start < 0.3); ++round) {
    int repeats = 0;
    const double t0 = now();
    double t1;
    do {
      cpu::gemm(g);
      ++repeats;
      t1 = now();
    } while (t1 - t0 < 0.005);
    best = std::min(best, (t1 - t0) / repeats);
  }
  std::printf("%-9s %4ld x (%ld x %ld x %ld)%s  %8.1f GFLOP/s  %6.1f GB/s  %9.2f us\n",
              dtype_to_string(dtype), long(s.batch), long(s.m), long(s.n), long(s.k),
              s.transposed ? "T" : " ", work / best * 1e-9,
              double(a.size() + b.size() + c.size()) / best * 1e-9, best * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Dtype> dtypes{float32, bfloat16};
  if (argc > 1) {
    dtypes.clear();
    for (int v = 0; v < kNumDtypes; ++v) {
      Dtype d = dtype_of(static_cast<Dtype::Val>(v));
      if (std::string(argv[1]) == dtype_to_string(d) && d != bool_) dtypes.push_back(d);
    }
    if (dtypes.empty()) {
      std::fprintf(stderr, "unknown dtype %s\n", argv[1]);
      return 2;
    }
  }
  std::vector<Shape> shapes{
      {1024, 1024, 1024, false, 1}, {256, 256, 256, false, 1}, {64, 64, 64, false, 1},
      {1000, 999, 1001, false, 1},  {128, 576, 1536, true, 1}, {512, 2048, 2048, true, 1},
      {32, 4096, 4096, true, 1},    {8, 2048, 2048, true, 1},  {1, 2048, 2048, true, 1},
      {1, 2048, 2048, false, 1},    {4, 2048, 2048, false, 1}, {2048, 1, 2048, false, 1},
      {4096, 64, 64, false, 1},     {64, 64, 50000, false, 1}, {16, 16, 16, false, 256},
      {64, 64, 64, true, 64},       {512, 512, 64, true, 12},  {512, 64, 512, false, 12},
      {1, 512, 64, true, 12},       {1, 64, 512, false, 12},   {3, 3, 3, false, 1}};
  if (argc > 4) {
    shapes = {{std::atol(argv[2]), std::atol(argv[3]), std::atol(argv[4]),
               argc > 5 && argv[5][0] == 'T', argc > 6 ? std::atol(argv[6]) : 1}};
  }
  std::printf("%d threads\n", cpu::num_threads());
  for (Dtype d : dtypes)
    for (const Shape& s : shapes) measure(d, s);
}
