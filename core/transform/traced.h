// core/transform/traced.h: a traced function as a flat list of operations over numbered values.
#pragma once

#include <memory>
#include <vector>

#include "mlx/array.h"
#include "mlx/primitive.h"

namespace mlx::core {

/**
 * Values are numbered: the inputs, the constants, then the results of each node in order. A node
 * only uses values with smaller numbers.
 */
struct Traced {
  struct Node {
    std::shared_ptr<Primitive> primitive;
    std::vector<int> args;
    int first;  // number of its first result
    std::vector<Shape> shapes;
    std::vector<Dtype> dtypes;
    SourceId source = 0;
  };
  std::vector<Shape> input_shapes;
  std::vector<Dtype> input_dtypes;
  std::vector<array> constants;
  std::vector<Node> nodes;
  std::vector<int> outputs;
  int n_values = 0;
  // A constant belongs to a transformation around this one: the trace is good for one call only.
  bool escaped = false;

  int n_inputs() const { return static_cast<int>(input_shapes.size()); }
  int first_result() const { return n_inputs() + static_cast<int>(constants.size()); }
  bool is_input(int v) const { return v < n_inputs(); }
  bool is_constant(int v) const { return v >= n_inputs() && v < first_result(); }
  const array& constant(int v) const { return constants[v - n_inputs()]; }

  /** The outputs as a new graph over inputs. */
  std::vector<array> build(const std::vector<array>& inputs) const;
  /** Every value of that graph. Values of nodes that do not lead to an output are there too. */
  std::vector<array> build_values(const std::vector<array>& inputs) const {
    return build_values(inputs, constants);
  }
  /** The same with other arrays in the place of the constants. */
  std::vector<array> build_values(const std::vector<array>& inputs,
                                  const std::vector<array>& constants) const;
};

struct TraceOptions {
  bool simplify = true;      // merge equal nodes and constants
  bool fold = true;          // compute what depends on no input, once
  bool see_through = false;  // leave out what only transformations need: PassThrough
};

/** Flattens the graph that leads from placeholders to outputs; the graph's arrays are let go. */
Traced flatten_trace(const std::vector<array>& placeholders, std::vector<array> outputs,
                     const TraceOptions& options);

/** Nodes without a value that lead to outputs and that no placeholder leads to. */
std::vector<array> independent_nodes(const std::vector<array>& placeholders,
                                     const std::vector<array>& outputs);

/** A placeholder for each array, to trace a function with. */
std::vector<array> make_placeholders(const std::vector<array>& like);

/**
 * The same function for inputs of other shapes, if every parameter of every node can be derived
 * from its inputs' shapes: then `is_shape_generic` was true of it.
 */
Traced respecialize(const Traced& traced, const std::vector<array>& inputs);
bool is_shape_generic(const Traced& traced);

}  // namespace mlx::core
