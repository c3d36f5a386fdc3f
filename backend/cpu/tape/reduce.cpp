// backend/cpu/tape/reduce.cpp: how a reduction is cut into jobs.
//
// A job owns one output element (or a run of them along the inner dimension) and a piece of what is
// reduced into it. Jobs leave partial results, which are combined in order afterwards: the cut
// depends on the shape alone, so the bits do not depend on the number of threads.
#include "backend/cpu/tape/reduce.h"

#include <algorithm>

#include "backend/cpu/ceil_div.h"
#include "backend/cpu/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kJob = 64 * 1024;                 // elements that a job reduces, about
constexpr int64_t kShortRow = 128;                  // rows below this are packed into tiles
constexpr int64_t kFarElements = int64_t{1} << 18;  // beyond this, what is read comes from afar
constexpr int64_t kInPlaceRow = 1024;  // and below this they need not be, if they lie in order

class Reduction {
 public:
  Reduction(const Tape& tape, const Space& space)
      : space_(space),
        out_(space.lanes.back()),
        program_(tape, space),
        bare_(tape.instrs.empty() && tape.outputs.empty() && tape.inputs.size() == 1),
        reducer_op_(tape.reduce->op),
        reducer_(find_reducer(tape.reduce->op, tape.reduce->in)),
        inner_(static_cast<int>(space.shape.size()) - 1) {
    for (int d = 0; d < inner_; ++d) (kept(d) ? kept_ : reduced_).push_back(d);
    for (int d : kept_) n_kept_ *= space.shape[d];
    for (int d : reduced_) n_reduced_ *= space.shape[d];
  }

  void run() {
    if (!kept(inner_)) {
      const int64_t w = space_.inner();
      if (reduced_.empty() && (w < kShortRow || (reads_in_place() && w < kInPlaceRow))) {
        short_rows();
      } else {
        rows();
      }
    } else {
      columns();
    }
  }

 private:
  // Products stay in short runs, for those of a run are float32.
  bool reads_in_place() const {
    return bare_ && space_.lanes[0].linear && reducer_op_ != ReduceOp::Prod;
  }
  bool kept(int d) const { return out_.strides[d] != 0; }

  // Index of the first element of the row given by a position among kept and among reduced dims.
  int64_t row_index(int64_t kept_pos, int64_t reduced_pos) const {
    int64_t index = 0, step = 1;
    SmallVector<int64_t> steps(inner_ + 1, 0);
    for (int d = inner_; d >= 0; --d) {
      steps[d] = step;
      step *= space_.shape[d];
    }
    index += spread(kept_, kept_pos, steps);
    index += spread(reduced_, reduced_pos, steps);
    return index;
  }
  int64_t spread(const SmallVector<int>& dims, int64_t pos,
                 const SmallVector<int64_t>& steps) const {
    int64_t index = 0;
    for (int k = static_cast<int>(dims.size()) - 1; k >= 0; --k) {
      index += pos % space_.shape[dims[k]] * steps[dims[k]];
      pos /= space_.shape[dims[k]];
    }
    return index;
  }
  char* out_at(int64_t kept_pos) const { return out_.base + spread(kept_, kept_pos, out_.strides); }

  // Everything lies in short rows, one for each output: several rows make a tile.
  void short_rows() {
    int64_t w = space_.inner();
    int64_t rows_per_tile = reads_in_place() ? 64 : std::max<int64_t>(1, program_.tile() / w);
    parallel_range(n_kept_, std::max<int64_t>(1, kJob / w), [&](int64_t begin, int64_t end) {
      auto context = program_.context(program_.tile());
      std::vector<char> accs(rows_per_tile * reducer_.acc_bytes + 16);
      for (int64_t row = begin; row < end; row += rows_per_tile) {
        int64_t m = std::min(rows_per_tile, end - row);
        const char* tile = program_.run(context, row * w, m * w);
        reducer_.rows(accs.data(), tile, m, w);
        if (kept_.size() <= 1) {
          int64_t stride = kept_.empty() ? 0 : out_.strides[kept_[0]];
          reducer_.finish(out_at(row), stride, accs.data(), m);
          continue;
        }
        for (int64_t r = 0; r < m; ++r) {
          reducer_.finish(out_at(row + r), 0, accs.data() + r * reducer_.acc_bytes, 1);
        }
      }
    });
  }

  // The inner dimension is reduced: each output takes whole rows, cut into tiles.
  void rows() {
    // A row that is only added up is read where it lies, in longer runs.
    const Lane& in = space_.lanes[0];
    const bool in_place = reads_in_place();
    int64_t w = space_.inner(), tile = program_.tile() * (in_place ? 8 : 1);
    const bool far = in_place && space_.size >= kFarElements;
    int64_t tiles = ceil_div(w, tile);
    int64_t units = n_reduced_ * tiles;  // tiles of one output
    int64_t per_job = std::max<int64_t>(1, kJob / tile);
    int64_t pieces = ceil_div(units, per_job);
    auto reduce_units = [&](Program::Context& context, void* acc, int64_t k, int64_t begin,
                            int64_t end) {
      int64_t row = -1, base = 0;
      for (int64_t u = begin; u < end; ++u) {
        if (u / tiles != row) {
          row = u / tiles;
          base = row_index(k, row);
        }
        int64_t i = u % tiles * tile;
        int64_t n = std::min(tile, w - i);
        if (in_place) {
          (far ? reducer_.run_far : reducer_.run)(acc, in.base + (base + i) * in.itemsize, n);
        } else {
          reducer_.run(acc, program_.run(context, base + i, n), n);
        }
      }
    };
    if (pieces == 1) {
      int64_t outputs_per_job = std::max<int64_t>(1, kJob / std::max<int64_t>(1, n_reduced_ * w));
      parallel_range(n_kept_, outputs_per_job, [&](int64_t begin, int64_t end) {
        auto context = program_.context(program_.tile());
        for (int64_t k = begin; k < end; ++k) {
          alignas(16) char acc[16];
          reducer_.identity(acc, 1);
          reduce_units(context, acc, k, 0, units);
          reducer_.finish(out_at(k), 0, acc, 1);
        }
      });
      return;
    }
    std::vector<char> partial(n_kept_ * pieces * reducer_.acc_bytes);
    reducer_.identity(partial.data(), n_kept_ * pieces);
    parallel_for(n_kept_ * pieces, [&](int64_t job) {
      auto context = program_.context(program_.tile());
      int64_t piece = job % pieces;
      reduce_units(context, partial.data() + job * reducer_.acc_bytes, job / pieces,
                   piece * per_job, std::min(units, (piece + 1) * per_job));
    });
    for (int64_t k = 0; k < n_kept_; ++k) {
      char* first = partial.data() + k * pieces * reducer_.acc_bytes;
      for (int64_t p = 1; p < pieces; ++p)
        reducer_.combine(first, first + p * reducer_.acc_bytes, 1);
      reducer_.finish(out_at(k), 0, first, 1);
    }
  }

  // The inner dimension is kept: a job folds rows into a vector of accumulators.
  void columns() {
    int64_t w = space_.inner();
    // Short rows that follow each other are packed: the dimension before the inner one is reduced,
    // for otherwise the two would be one (or the operands do not allow it: then rows go singly).
    // A few rows without anything to compute are read where they lie.
    const Lane& in = space_.lanes[0];
    bool bare_rows = bare_ && in.strides[inner_] == in.itemsize && reduced_.size() == 1;
    bool pack = w < kShortRow && inner_ > 0 && !kept(inner_ - 1);
    if (pack && bare_rows && w >= 8 && n_reduced_ <= 64) pack = false;
    int64_t last = pack ? space_.shape[inner_ - 1] : 1;
    int64_t width = pack ? w : std::min(w, program_.tile());
    int64_t blocks = pack ? 1 : ceil_div(w, width);
    int64_t group = pack ? std::max<int64_t>(1, program_.tile() / w) : 1;  // rows in a tile
    int64_t groups = ceil_div(last, group);
    int64_t units = n_reduced_ / last * groups;
    int64_t per_job = std::max<int64_t>(1, kJob / (group * width));
    int64_t pieces = ceil_div(units, per_job);
    int64_t jobs = n_kept_ * blocks * pieces;
    // Packed rows have an accumulator each, and meet at the end.
    size_t acc_row = static_cast<size_t>(group * width) * reducer_.acc_bytes;
    // Nothing to compute first: rows are read where they lie, eight at a time.
    bool direct = !pack && bare_ && in.strides[inner_] == in.itemsize && reduced_.size() == 1;

    auto fold = [&](Program::Context& context, char* acc, int64_t k, int64_t block, int64_t begin,
                    int64_t end) {
      int64_t n = std::min(width, w - block * width);
      if (direct) {
        int64_t stride = in.strides[reduced_[0]];
        const char* from =
            in.base + spread(kept_, k, in.strides) + begin * stride + block * width * in.itemsize;
        int64_t u = begin;
        for (; u + 8 <= end; u += 8, from += 8 * stride) reducer_.fold8(acc, from, stride, n);
        if (u < end) reducer_.fold_few(acc, from, stride, n, end - u);
        return;
      }
      for (int64_t u = begin; u < end; ++u) {
        int64_t first = u % groups * group;  // within the last reduced dimension
        int64_t m = std::min(group, last - first);
        int64_t row = pack ? u / groups * last + first : u;
        const char* tile = program_.run(context, row_index(k, row) + block * width, m * n);
        reducer_.fold(acc, tile, m * n);
      }
      for (int64_t r = 1; r < group; ++r) {
        reducer_.combine(acc, acc + r * n * reducer_.acc_bytes, n);
      }
    };
    auto finish = [&](const char* acc, int64_t k, int64_t block) {
      int64_t stride = out_.strides[inner_];
      reducer_.finish(out_at(k) + block * width * stride, stride, acc,
                      std::min(width, w - block * width));
    };
    if (pieces == 1) {
      int64_t per_chunk = std::max<int64_t>(1, kJob / std::max<int64_t>(1, n_reduced_ * width));
      parallel_range(n_kept_ * blocks, per_chunk, [&](int64_t begin, int64_t end) {
        auto context = program_.context(program_.tile());
        std::vector<char> acc(acc_row);
        for (int64_t j = begin; j < end; ++j) {
          reducer_.identity(acc.data(), group * width);
          fold(context, acc.data(), j / blocks, j % blocks, 0, units);
          finish(acc.data(), j / blocks, j % blocks);
        }
      });
      return;
    }
    std::vector<char> partial(jobs * acc_row);
    parallel_for(jobs, [&](int64_t job) {
      int64_t j = job / pieces, piece = job % pieces;
      char* acc = partial.data() + job * acc_row;
      reducer_.identity(acc, group * width);
      auto context = program_.context(program_.tile());
      fold(context, acc, j / blocks, j % blocks, piece * per_job,
           std::min(units, (piece + 1) * per_job));
    });
    for (int64_t j = 0; j < n_kept_ * blocks; ++j) {
      char* first = partial.data() + j * pieces * acc_row;
      for (int64_t p = 1; p < pieces; ++p) reducer_.combine(first, first + p * acc_row, width);
      finish(first, j / blocks, j % blocks);
    }
  }

  const Space& space_;
  const Lane& out_;
  Program program_;
  bool bare_;  // nothing but the reduction
  ReduceOp reducer_op_;
  Reducer reducer_;
  int inner_;
  SmallVector<int> kept_, reduced_;  // dimensions before the inner one
  int64_t n_kept_ = 1, n_reduced_ = 1;
};

}  // namespace

void run_reduce(const Tape& tape, const Space& space) {
  const Lane& out = space.lanes.back();
  if (space.size == 0) {
    // Every output is the identity: those there are lie along the kept dimensions.
    Reducer r = find_reducer(tape.reduce->op, tape.reduce->in);
    alignas(16) char acc[16];
    r.identity(acc, 1);
    int64_t n = 1;
    for (size_t d = 0; d < space.shape.size(); ++d) {
      if (out.strides[d] != 0) n *= space.shape[d];
    }
    for (int64_t i = 0; i < n; ++i) r.finish(out.base + i * out.itemsize, 0, acc, 1);
    return;
  }
  Reduction(tape, space).run();
}

}  // namespace mlx::core::cpu
