// core/transform/stored_function.h: a function as a file keeps it: operations by name, parameters
// as numbers that may depend on the sizes of the inputs.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/prim/fields.h"
#include "core/transform/traced.h"

namespace mlx::core {

/**
 * A number that follows from the sizes: base value plus, for each term, coefficient times the
 * product of the changes of some sizes, counted in steps. A size that stands there r times (in a
 * row) counts as the binomial coefficient "change over r": Newton's interpolation.
 */
struct SizeRule {
  struct Term {
    int64_t coefficient;
    std::vector<int> sizes;
    bool operator==(const Term&) const = default;
  };
  int64_t base = 0;
  std::vector<Term> terms;

  bool fixed() const { return terms.empty(); }
  /** Throws std::invalid_argument if the value does not fit 64 bits. */
  int64_t at(const std::vector<int64_t>& change) const;
};

/** A real number that follows from the sizes: fixed, or a power of what a rule says. */
struct RealRule {
  enum Power : int { fixed, plain, inverse, root, inverse_root };
  Power power = fixed;
  double value = 0;
  // As in SizeRule, with real coefficients, for value, 1 / value, value^2, 1 / value^2.
  struct Term {
    double coefficient;
    std::vector<int> sizes;
  };
  double base = 0;
  std::vector<Term> terms;

  double at(const std::vector<int64_t>& change) const;
};

using StoredLeaf = std::variant<SizeRule, RealRule, std::string>;
using StoredShape = std::vector<SizeRule>;

struct StoredInput {
  std::string keyword;  // empty: positional
  StoredShape shape;    // each axis fixed or just one size
  Dtype dtype = float32;
};

/** An array of the file, or one number. */
struct StoredConstant {
  int tensor = -1;
  RealRule number;
  Dtype dtype = float32;
};

struct StoredNode {
  std::string name;
  std::vector<StoredLeaf> leaves;
  std::vector<int> args;      // as in Traced
  std::vector<Shape> shapes;  // when it was traced; not kept in files: primitives have rules
  std::vector<Dtype> dtypes;
};

struct StoredFunction {
  std::vector<int64_t> sizes;  // when it was traced; an input's rule has the step as coefficient
  std::vector<StoredInput> inputs;
  std::vector<StoredConstant> constants;
  std::vector<StoredNode> nodes;
  std::vector<int> outputs;

  /** How many steps sizes of these inputs are from those traced, if they fit: the same ranks and
   * dtypes, fixed axes equal. */
  bool match(const std::vector<array>& given, std::vector<int64_t>& change) const;
  /** The operations for such inputs. Throws std::invalid_argument if something does not fit. */
  Traced make(const std::vector<array>& given, const std::vector<int64_t>& change,
              const std::vector<array>& tensors) const;
};

struct FunctionFile {
  std::vector<StoredFunction> functions;
  std::vector<array> tensors;
  std::string metadata;
};

/** Replaces the file when all has been written. Throws std::runtime_error. */
void save_functions(const std::string& path, const FunctionFile& file);
/** Throws std::runtime_error on anything but a whole file of this kind. */
FunctionFile load_functions(const std::string& path);

}  // namespace mlx::core
