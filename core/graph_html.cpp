// core/graph_html.cpp: a drawing of the graph in one HTML file that needs nothing else.
//
// Layers as Sugiyama, Tagawa and Toda draw them (1981): an array stands below all it is made from,
// and within a layer near the middle of its neighbours.
#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "core/graph_walk.h"
#include "core/source.h"
#include "mlx/graph_utils.h"
#include "mlx/primitive.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

constexpr double kWidth = 170, kHeight = 46, kGapX = 24, kGapY = 44;

struct Box {
  std::string head, kind, place, more;
  std::vector<int> inputs, users;
  int layer = 0;
  double x = 0;
  bool leaf = false, wanted = false;
};

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string described(const array& a) {
  return to_string(a.shape()) + " " + dtype_to_string(a.dtype());
}

std::vector<Box> boxes_of(NodeNamer& namer, const std::vector<array>& outputs) {
  GraphWalk found = walk_graph(outputs);
  std::vector<Box> boxes;
  std::unordered_map<std::uintptr_t, int> number;
  for (const auto& a : found.leaves) {
    number[a.id()] = static_cast<int>(boxes.size());
    Box box;
    box.head = namer.get_name(a);
    box.kind = described(a);
    box.leaf = true;
    boxes.push_back(std::move(box));
  }
  for (const auto& a : found.operations) {
    int self = static_cast<int>(boxes.size());
    Box box;
    box.head = a.primitive().name();
    box.more = source_text(a.source());
    box.place = box.more.substr(box.more.rfind('/') + 1);
    for (const auto& out : a.outputs()) {
      number[out.id()] = self;
      box.kind += (box.kind.empty() ? "" : ", ") + described(out);
      if (auto it = namer.names.find(out.id()); it != namer.names.end())
        box.head = it->second + " = " + box.head;
    }
    for (const auto& in : a.inputs()) {
      int from = number.at(in.id());
      box.inputs.push_back(from);
      boxes[from].users.push_back(self);
      box.layer = std::max(box.layer, boxes[from].layer + 1);
    }
    boxes.push_back(std::move(box));
  }
  for (auto& box : boxes) {
    // What has its value stands just above the first that uses it.
    if (!box.leaf || box.users.empty()) continue;
    box.layer = boxes[box.users[0]].layer - 1;
    for (int u : box.users) box.layer = std::min(box.layer, boxes[u].layer - 1);
  }
  for (const auto& out : outputs) boxes[number.at(out.id())].wanted = true;
  return boxes;
}

/** Gives each box its x; returns the width of the widest layer. */
double arrange(std::vector<Box>& boxes, int layers) {
  std::vector<std::vector<int>> rows(layers);
  for (size_t i = 0; i < boxes.size(); ++i) rows[boxes[i].layer].push_back(static_cast<int>(i));
  size_t widest = 1;
  for (const auto& row : rows) widest = std::max(widest, row.size());
  const double step = kWidth + kGapX, whole = static_cast<double>(widest) * step;
  auto place = [&](const std::vector<int>& row) {
    double at = (whole - static_cast<double>(row.size()) * step) / 2;
    for (int i : row) {
      boxes[i].x = at;
      at += step;
    }
  };
  for (const auto& row : rows) place(row);
  for (int sweep = 0; sweep < 8; ++sweep) {
    bool down = sweep % 2 == 0;
    for (int k = 0; k < layers; ++k) {
      auto& row = rows[down ? k : layers - 1 - k];
      std::unordered_map<int, double> middle;
      for (int i : row) {
        const auto& near = down ? boxes[i].inputs : boxes[i].users;
        double sum = 0;
        for (int n : near) sum += boxes[n].x;
        middle[i] = near.empty() ? boxes[i].x : sum / static_cast<double>(near.size());
      }
      std::stable_sort(row.begin(), row.end(), [&](int a, int b) { return middle[a] < middle[b]; });
      place(row);
    }
  }
  return whole;
}

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Graph</title><style>
html, body { margin: 0; height: 100%; background: #fbfaf7; overflow: hidden }
svg { width: 100%; height: 100%; cursor: grab; font: 12px system-ui, sans-serif }
rect { fill: #fff; stroke: #6b7280; rx: 6px }
.leaf rect { fill: #eef2ff } .wanted rect { stroke: #b45309; stroke-width: 2.5px }
g:hover > rect { fill: #fef3c7 } .name { font-weight: 600 } .shape, .line { fill: #6b7280; font-size: 10px }
path { fill: none; stroke: #9ca3af }
</style></head><body>
)";

constexpr const char* kTail = R"(<script>
const s = document.querySelector("svg"), v = s.viewBox.baseVal;
const scale = () => Math.max(v.width / s.clientWidth, v.height / s.clientHeight);
let at = null;
s.onpointerdown = e => { at = [e.clientX, e.clientY] };
onpointerup = () => { at = null };
onpointermove = e => {
  if (!at) return;
  v.x -= (e.clientX - at[0]) * scale(); v.y -= (e.clientY - at[1]) * scale();
  at = [e.clientX, e.clientY];
};
s.onwheel = e => {
  e.preventDefault();
  const f = Math.exp(e.deltaY / 500), p = new DOMPoint(e.clientX, e.clientY).matrixTransform(s.getScreenCTM().inverse());
  v.x = p.x + (v.x - p.x) * f; v.y = p.y + (v.y - p.y) * f; v.width *= f; v.height *= f;
};
</script></body></html>
)";

}  // namespace

void export_to_html(std::ostream& os, NodeNamer namer, const std::vector<array>& outputs) {
  auto boxes = boxes_of(namer, outputs);
  int layers = 0;
  for (const auto& box : boxes) layers = std::max(layers, box.layer + 1);
  const double width = arrange(boxes, layers), height = layers * (kHeight + kGapY);
  auto top = [](const Box& box) { return box.layer * (kHeight + kGapY) + kGapY / 2; };

  os << kHead << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << width << " "
     << height << "\">\n";
  for (const auto& box : boxes) {
    for (int i : box.inputs) {
      const Box& from = boxes[i];
      double x0 = from.x + kWidth / 2, y0 = top(from) + kHeight;
      double x1 = box.x + kWidth / 2, y1 = top(box), bend = std::max(kGapY, (y1 - y0) / 2);
      os << "<path d=\"M" << x0 << " " << y0 << "C" << x0 << " " << y0 + bend << " " << x1 << " "
         << y1 - bend << " " << x1 << " " << y1 << "\"/>\n";
    }
  }
  for (const auto& box : boxes) {
    auto line = [&](const char* style, double y, const std::string& text) {
      if (text.empty()) return;
      constexpr size_t kMost = 30;
      os << "<text class=\"" << style << "\" x=\"" << kWidth / 2 << "\" y=\"" << y
         << "\" text-anchor=\"middle\">"
         << escaped(text.size() > kMost ? text.substr(0, kMost) + "\xE2\x80\xA6" : text)
         << "</text>";
    };
    os << "<g class=\"" << (box.leaf ? "leaf" : "operation") << (box.wanted ? " wanted" : "")
       << "\" transform=\"translate(" << box.x << "," << top(box) << ")\"><rect width=\"" << kWidth
       << "\" height=\"" << kHeight << "\"/><title>" << escaped(box.head) << "\n"
       << escaped(box.kind) << "\n"
       << escaped(box.more) << "</title>";
    line("name", 15, box.head);
    line("shape", 28, box.kind);
    line("line", 40, box.place);
    os << "</g>\n";
  }
  os << "</svg>\n" << kTail;
}

}  // namespace mlx::core
