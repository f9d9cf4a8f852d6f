//===- AccessAnalysis.cpp - How accesses depend on loop dimensions ---------------===//

#include "lib/Target/AccessAnalysis.h"

using namespace mlir;
using namespace tinytrain;

Dependence tinytrain::dependenceOf(const Access &access, unsigned dim, unsigned dims) {
  Dependence result;
  for (auto [i, expr] : llvm::enumerate(access.index)) {
    std::optional<Linear> linear = Linear::get(expr, dims);
    int64_t coefficient = linear ? linear->coefficients[dim] : (expr.isFunctionOfDim(dim) ? 2 : 0);
    if (!coefficient)
      continue;
    result.contiguous = !result.any && coefficient == 1 && i + 1 == access.index.size();
    result.any = true;
  }
  return result;
}

bool tinytrain::isGuarded(const Access &access, unsigned dim) {
  return llvm::any_of(access.guards, [=](const Guard &g) { return g.expr.isFunctionOfDim(dim); });
}

bool tinytrain::isAnyInputGuarded(const KernelModel &model, unsigned dim) {
  return llvm::any_of(model.inputs, [=](const std::optional<Access> &input) {
    return input && isGuarded(*input, dim);
  });
}

bool tinytrain::isAnyStoreGuarded(const KernelModel &model, unsigned dim) {
  return llvm::any_of(model.stores, [=](auto &store) { return isGuarded(store.access, dim); });
}

SmallVector<unsigned> tinytrain::findPhases(const KernelModel &model) {
  unsigned dims = model.extents.size();
  llvm::SmallDenseSet<unsigned> found;
  auto visit = [&](AffineExpr expr) {
    expr.walk([&](AffineExpr e) {
      if (e.getKind() != AffineExprKind::Mod && e.getKind() != AffineExprKind::FloorDiv)
        return;
      for (unsigned d = 0; d < dims; ++d)
        if (e.isFunctionOfDim(d))
          found.insert(d);
    });
  };
  auto visitAccess = [&](const Access &access) {
    llvm::for_each(access.index, visit);
    for (const Guard &guard : access.guards)
      visit(guard.expr);
  };
  if (model.reductions.empty())
    return {};
  for (const auto &input : model.inputs)
    if (input)
      visitAccess(*input);
  for (const auto &store : model.stores)
    visitAccess(store.access);
  SmallVector<unsigned> phases(found.begin(), found.end());
  llvm::sort(phases);
  return phases;
}
