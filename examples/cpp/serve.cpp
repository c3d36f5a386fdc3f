// A program that runs a function exported from Python, without Python: here a language model.
//
// In Python, once:
//   model, tokenizer = mica.llm.load()
//   def next_logits(tokens):                     # (1, n) tokens in, (1, vocab) logits out
//       return model.logits(model.hidden(tokens)[:, -1:])[:, -1]
//   mx.export_function("lm.mlxfn", next_logits, mx.array([[1, 2, 3]]), shapeless=True)
//
// Then, anywhere:
//   echo "1 4093 198 28120 905" | ./serve lm.mlxfn 8
//
// Each line of input is a list of tokens; each line of output the tokens that follow, and the logit
// of each. An error is one line on standard error, and the exit code is 1.
#include <cstdlib>
#include <exception>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>

#include "mlx/mlx.h"

namespace mx = mlx::core;

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: serve FILE HOW_MANY < lines of tokens\n";
    return 2;
  }
  try {
    mx::ImportedFunction next_logits = mx::import_function(argv[1]);
    int wanted = std::atoi(argv[2]);
    std::string line;
    while (std::getline(std::cin, line)) {
      std::istringstream words(line);
      std::vector<int> tokens;
      for (int token; words >> token;) tokens.push_back(token);
      if (tokens.empty()) continue;
      for (int i = 0; i < wanted; ++i) {
        mx::array prompt(tokens.begin(), {1, static_cast<int>(tokens.size())}, mx::int32);
        mx::array logits = next_logits({prompt})[0];
        mx::array best = mx::argmax(logits);
        tokens.push_back(static_cast<int>(best.item<uint32_t>()));
        std::cout << (i ? " " : "") << tokens.back() << ":" << std::setprecision(9)
                  << mx::max(logits).item<float>() << std::flush;
      }
      std::cout << std::endl;
    }
  } catch (const std::exception& error) {
    std::cerr << "serve: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
