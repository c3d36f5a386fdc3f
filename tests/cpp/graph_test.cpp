// tests/cpp/graph_test.cpp: graphs as text.
#include <gtest/gtest.h>

#include <sstream>

#include "mlx/mlx.h"

namespace mlx::core {
namespace {

TEST(GraphUtils, NamesCountOn) {
  NodeNamer namer;
  std::vector<array> arrays;
  for (int i = 0; i < 30; ++i) arrays.push_back(array(i));
  namer.set_name(arrays[1], "one");
  EXPECT_EQ(namer.get_name(arrays[0]), "B");  // a name has been given already
  EXPECT_EQ(namer.get_name(arrays[1]), "one");
  EXPECT_EQ(namer.get_name(arrays[2]), "C");
  for (const auto& a : arrays) namer.get_name(a);
  EXPECT_EQ(namer.get_name(arrays[29]), "AD");
  EXPECT_EQ(namer.get_name(arrays[0]), "B");
}

TEST(GraphUtils, PrintsOperationsInOrder) {
  array x = ones({2, 3});
  eval(x);
  NodeNamer namer;
  namer.set_name(x, "x");
  std::ostringstream text;
  print_graph(text, namer, sum(exp(x), 1));
  std::string s = text.str();
  EXPECT_NE(s.find("Inputs: x [(2,3), float32]"), std::string::npos) << s;
  EXPECT_LT(s.find("Exp x"), s.find("Reduce")) << s;
  std::ostringstream dot;
  export_to_dot(dot, exp(x), exp(x));
  EXPECT_EQ(dot.str().rfind("digraph {", 0), 0u);
}

}  // namespace
}  // namespace mlx::core
