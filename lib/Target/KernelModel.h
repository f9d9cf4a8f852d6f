//===- KernelModel.h - What a kernel's loop nest reads and writes -----*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_KERNELMODEL_H
#define TINYTRAIN_LIB_TARGET_KERNELMODEL_H

#include "dialects/TinyTrain.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include "llvm/Support/MathExtras.h"

#include <array>

namespace tinytrain {

/// A condition `0 <= expr < size` on the loop dimensions.
struct Guard {
  mlir::AffineExpr expr;
  int64_t size;
};

/// An element of a kernel operand, addressed by expressions over the root's loop
/// dimensions. Where a guard fails the element lies in the padding: it contributes
/// nothing, or, for a result, is not stored.
struct Access {
  unsigned operand = 0;
  llvm::SmallVector<mlir::AffineExpr> index;
  llvm::SmallVector<Guard> guards;
  /// Where two operands are read as one (`KernelModel::Join`): the second one.
  std::optional<unsigned> upper;
};

/// An elementwise op behind the root. An input is either a value computed before, or read.
struct EpilogueOp {
  mlir::linalg::GenericOp op;
  struct Input {
    std::optional<unsigned> computed;
    std::optional<Access> access;
  };
  llvm::SmallVector<Input> inputs;
  /// What `linalg.index` means, per dimension of `op`.
  llvm::SmallVector<mlir::AffineExpr> index;
  unsigned firstResult;
};

/// An affine expression without division: `sum(coefficients[d] * d) + constant`.
struct Linear {
  llvm::SmallVector<int64_t> coefficients;
  int64_t constant = 0;

  /// None where `expr` divides.
  static std::optional<Linear> get(mlir::AffineExpr expr, unsigned dims);
};

/// The loop nest of one kernel: the root op, the elementwise ops after it, what is stored.
/// Values computed per element are numbered: the root's results first.
struct KernelModel {
  mlir::linalg::GenericOp root;
  /// Of the kernel's operands, as tensors.
  llvm::SmallVector<mlir::RankedTensorType> operandTypes;
  llvm::SmallVector<int64_t> extents;
  llvm::SmallVector<unsigned> parallel, reductions;
  /// Per root input; none where its element is not used.
  llvm::SmallVector<std::optional<Access>> inputs;
  /// Per root result: where a reduction starts, a constant or an operand.
  llvm::SmallVector<mlir::TypedAttr> startValues;
  llvm::SmallVector<std::optional<Access>> startAccesses;
  llvm::SmallVector<EpilogueOp> epilogue;
  /// Two operands joined along their last dimension are read as one. Loop dimension `dim` runs
  /// over it; from position `at` on the element lies in the second operand.
  struct Join {
    unsigned dim;
    int64_t at;
  };
  std::optional<Join> join;
  struct Store {
    unsigned computed;
    Access access;
  };
  llvm::SmallVector<Store> stores;
  /// True if the reduction is one sum that starts from zero, whose terms may be added in any
  /// order.
  bool isSum = false;
  /// Where the terms are products of int8 less a zero point, summed in int32: the zero points of
  /// the first two inputs. With `tinytrain.folded` the first one is what the bias leaves of it,
  /// and not what the root subtracts.
  std::optional<std::array<int64_t, 2>> zeroPoints;

  /// How the elements of the second input lie in memory, where that is not in order of their
  /// indices: [output channels / lanes][terms / group][lanes][group], with the terms of a sum in
  /// order. `lanes` divides the first index, `group` the last one.
  struct PackedWeights {
    int64_t lanes, group;
  };
  std::optional<PackedWeights> packed;

  /// Of a second input whose bytes lie as halfwords already: how many of the last dimensions are
  /// one run of neighbours. In a run each four bytes b0 to b3 are the halfwords b0, b2, b1, b3, as
  /// SXTB16 leaves them in two registers. A last byte that is left alone has that of the next run
  /// beside it. The operand's last dimension has room for them:
  /// `widenedSize`.
  std::optional<int64_t> widenedRun;
  static int64_t widenedSize(int64_t size) { return 2 * llvm::alignTo(size, 4); }

  /// The operand whose element the first elementwise op adds to a sum of integers: the sum may as
  /// well start from it.
  std::optional<Access> bias;

  /// The distance of an element from the start of its operand, in elements.
  std::optional<Linear> offsetOf(const Access &access) const;

  unsigned numRootResults() const { return startValues.size(); }

  /// Reads a kernel's region; a region that is no such loop nest is an error on the op.
  static mlir::FailureOr<KernelModel> get(KernelOp kernel);
};

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_KERNELMODEL_H
