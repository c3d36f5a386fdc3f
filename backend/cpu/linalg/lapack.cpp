// backend/cpu/linalg/lapack.cpp
#include "backend/cpu/linalg/lapack.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>

#include "core/lapack_path.h"

namespace mlx::core::cpu {

namespace {

std::string beside_this_library() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&beside_this_library), &info) || !info.dli_fname) return "";
  // site-packages/mlx/lib/libmlx.so
  std::string path = info.dli_fname;
  for (int up = 0; up < 3; ++up) {
    size_t slash = path.rfind('/');
    if (slash == std::string::npos) return "";
    path.resize(slash);
  }
  return path + "/scipy_openblas32/lib/libscipy_openblas.so";
}

void* symbol(void* library, const std::string& name) {
  for (const char* prefix : {"scipy_", ""}) {
    if (void* found = dlsym(library, (prefix + name + "_").c_str())) return found;
  }
  return nullptr;
}

/** The library works on one thread: the pool above it shares out matrices. */
void use_one_thread(void* library) {
  for (const char* name : {"scipy_openblas_set_num_threads", "openblas_set_num_threads"}) {
    if (void* set = dlsym(library, name)) {
      reinterpret_cast<void (*)(int)>(set)(1);
      return;
    }
  }
}

void* open_library() {
  std::string tried;
  auto attempt = [&](const std::string& path) -> void* {
    if (path.empty()) return nullptr;
    // One that others of this process already use keeps its threads.
    void* others = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (others && symbol(others, "sgetrf")) return others;
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
      if (symbol(library, "sgetrf")) {
        use_one_thread(library);
        return library;
      }
      dlclose(library);
    }
    tried += (tried.empty() ? "" : ", ") + path;
    return nullptr;
  };
  const char* chosen = std::getenv("MICA_LAPACK");
  if (chosen && *chosen) {
    if (void* library = attempt(chosen)) return library;
    throw std::runtime_error(std::string("[linalg] MICA_LAPACK names ") + chosen +
                             ", which is not a LAPACK library that can be opened.");
  }
  for (const std::string& path : {lapack_path(), beside_this_library(),
                                  std::string("liblapack.so.3"), std::string("libopenblas.so.0")}) {
    if (void* library = attempt(path)) return library;
  }
  throw std::runtime_error(
      "[linalg] No LAPACK library was found (tried " + tried +
      "). Install one: `pip install scipy-openblas32`, or `apt install libopenblas0`, or name the "
      "file of one in the environment variable MICA_LAPACK.");
}

/** Opened once; a failure is not remembered, so that installing one helps at once. */
void* library() {
  static std::mutex mutex;
  static void* opened = nullptr;
  std::lock_guard lock(mutex);
  if (!opened) opened = open_library();
  return opened;
}

template <class F>
void resolve(F& to, const std::string& name) {
  to = reinterpret_cast<F>(symbol(library(), name));
  if (!to) throw std::runtime_error("[linalg] The LAPACK library has no routine " + name + ".");
}

template <class T>
Lapack<T> load(const std::string& letter, const char* orgqr, const char* heevd) {
  Lapack<T> f;
  resolve(f.getrf, letter + "getrf");
  resolve(f.getrs, letter + "getrs");
  resolve(f.getri, letter + "getri");
  resolve(f.trtri, letter + "trtri");
  resolve(f.trsm, letter + "trsm");
  resolve(f.potrf, letter + "potrf");
  resolve(f.geqrf, letter + "geqrf");
  resolve(f.orgqr, orgqr);
  resolve(f.gesdd, letter + "gesdd");
  resolve(f.heevd, heevd);
  resolve(f.geev, letter + "geev");
  return f;
}

template <class T>
constexpr bool is_complex = !std::is_same_v<T, Real<T>>;

double value(float x) { return x; }
double value(double x) { return x; }
double value(std::complex<float> x) { return x.real(); }

template <class V>
typename V::value_type* at_least(V& v, size_t n) {
  if (v.size() < n) v.resize(n);
  return v.data();
}

/** Calls a routine that answers lwork -1 with the size it wants, then with that much. */
template <class T, class Call>
int with_work(Workspace<T>& space, Call&& call) {
  T wanted{};
  int query = -1;
  int info = call(&wanted, &query);
  if (info) return info;
  int size = std::max(1, static_cast<int>(value(wanted)));
  // Sizes above 2^24 are rounded in float32: a little more than was asked for.
  if (sizeof(Real<T>) == 4 && size > (1 << 24)) size += size / (1 << 22);
  return call(at_least(space.work, size), &size);
}

}  // namespace

template <>
const Lapack<float>& lapack() {
  static const Lapack<float> f = load<float>("s", "sorgqr", "ssyevd");
  return f;
}
template <>
const Lapack<double>& lapack() {
  static const Lapack<double> f = load<double>("d", "dorgqr", "dsyevd");
  return f;
}
template <>
const Lapack<std::complex<float>>& lapack() {
  static const auto f = load<std::complex<float>>("c", "cungqr", "cheevd");
  return f;
}

template <class T>
int gesdd(char job, int m, int n, T* a, Real<T>* s, T* u, T* vt, Workspace<T>& space) {
  using R = Real<T>;
  size_t least = std::min(m, n), most = std::max(m, n);
  int* iwork = at_least(space.iwork, 8 * least);
  int ldu = job == 'N' ? 1 : m, ldvt = job == 'N' ? 1 : n;
  return with_work(space, [&](T* work, const int* lwork) {
    int info = 0;
    if constexpr (is_complex<T>) {
      R* rwork = at_least(space.rwork, std::max(5 * least * least + 5 * least,
                                                2 * most * least + 2 * least * least + least));
      using F = void (*)(const char*, const int*, const int*, T*, const int*, R*, T*, const int*,
                         T*, const int*, T*, const int*, R*, int*, int*, size_t);
      reinterpret_cast<F>(lapack<T>().gesdd)(&job, &m, &n, a, &m, s, u, &ldu, vt, &ldvt, work,
                                             lwork, rwork, iwork, &info, 1);
    } else {
      using F = void (*)(const char*, const int*, const int*, T*, const int*, T*, T*, const int*,
                         T*, const int*, T*, const int*, int*, int*, size_t);
      reinterpret_cast<F>(lapack<T>().gesdd)(&job, &m, &n, a, &m, s, u, &ldu, vt, &ldvt, work,
                                             lwork, iwork, &info, 1);
    }
    return info;
  });
}

template <class T>
int heevd(char job, char uplo, int n, T* a, Real<T>* w, Workspace<T>& space) {
  using R = Real<T>;
  size_t size = n;
  int liwork = 3 + 5 * n;
  int* iwork = at_least(space.iwork, liwork);
  return with_work(space, [&](T* work, const int* lwork) {
    int info = 0;
    if constexpr (is_complex<T>) {
      int lrwork = static_cast<int>(1 + 5 * size + 2 * size * size);
      R* rwork = at_least(space.rwork, lrwork);
      using F = void (*)(const char*, const char*, const int*, T*, const int*, R*, T*, const int*,
                         R*, const int*, int*, const int*, int*, size_t, size_t);
      reinterpret_cast<F>(lapack<T>().heevd)(&job, &uplo, &n, a, &n, w, work, lwork, rwork, &lrwork,
                                             iwork, &liwork, &info, 1, 1);
    } else {
      using F = void (*)(const char*, const char*, const int*, T*, const int*, T*, T*, const int*,
                         int*, const int*, int*, size_t, size_t);
      reinterpret_cast<F>(lapack<T>().heevd)(&job, &uplo, &n, a, &n, w, work, lwork, iwork, &liwork,
                                             &info, 1, 1);
    }
    return info;
  });
}

template <class T>
int geev(int n, T* a, std::complex<Real<T>>* w, std::complex<Real<T>>* v, Workspace<T>& space) {
  using R = Real<T>;
  char none = 'N', right = v ? 'V' : 'N';
  size_t size = n;
  int one = 1;
  if constexpr (is_complex<T>) {
    R* rwork = at_least(space.rwork, 2 * size);
    using F = void (*)(const char*, const char*, const int*, T*, const int*, T*, T*, const int*, T*,
                       const int*, T*, const int*, R*, int*, size_t, size_t);
    return with_work(space, [&](T* work, const int* lwork) {
      int info = 0;
      reinterpret_cast<F>(lapack<T>().geev)(&none, &right, &n, a, &n, w, nullptr, &one, v, &n, work,
                                            lwork, rwork, &info, 1, 1);
      return info;
    });
  } else {
    // Real and imaginary parts apart; the vectors of a conjugate pair are (x + iy, x - iy).
    R* parts = at_least(space.rwork, 2 * size + (v ? size * size : 1));
    R *re = parts, *im = parts + n, *vectors = im + n;
    using F = void (*)(const char*, const char*, const int*, T*, const int*, T*, T*, T*, const int*,
                       T*, const int*, T*, const int*, int*, size_t, size_t);
    int failed = with_work(space, [&](T* work, const int* lwork) {
      int info = 0;
      reinterpret_cast<F>(lapack<T>().geev)(&none, &right, &n, a, &n, re, im, nullptr, &one,
                                            vectors, &n, work, lwork, &info, 1, 1);
      return info;
    });
    if (failed) return failed;
    for (size_t j = 0; j < size; ++j) w[j] = {re[j], im[j]};
    for (size_t j = 0; v && j < size; ++j) {
      const R* x = vectors + j * size;
      if (im[j] == 0 || j + 1 == size) {
        for (size_t i = 0; i < size; ++i) v[j * size + i] = x[i];
        continue;
      }
      const R* y = x + size;
      for (size_t i = 0; i < size; ++i) {
        v[j * size + i] = {x[i], y[i]};
        v[(j + 1) * size + i] = {x[i], -y[i]};
      }
      ++j;
    }
    return 0;
  }
}

#define INSTANTIATE(T)                                                     \
  template int gesdd(char, int, int, T*, Real<T>*, T*, T*, Workspace<T>&); \
  template int heevd(char, char, int, T*, Real<T>*, Workspace<T>&);        \
  template int geev(int, T*, std::complex<Real<T>>*, std::complex<Real<T>>*, Workspace<T>&);
INSTANTIATE(float)
INSTANTIATE(double)
INSTANTIATE(std::complex<float>)
#undef INSTANTIATE

}  // namespace mlx::core::cpu
