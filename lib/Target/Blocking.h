//===- Blocking.h - Register blocking of a kernel ---------------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_BLOCKING_H
#define TINYTRAIN_LIB_TARGET_BLOCKING_H

#include "lib/Target/KernelModel.h"
#include "lib/Target/TargetInfo.h"

namespace tinytrain {

/// int8 that a halfword, a word and a vector of Helium hold.
inline constexpr int64_t kBytesPerHalf = 2, kBytesPerWord = 4, kBytesPerVector = 16;

/// How a kernel's loops are ordered, unrolled and vectorized. The loop nest runs over
/// `rowDims`, `phases` and `loopDims`, the first one outermost, each in ascending order.
struct Blocking {
  /// Parallel dimensions ahead of the phases, one element at a time.
  llvm::SmallVector<unsigned> rowDims;
  /// Parallel dimensions that code is emitted for value by value.
  llvm::SmallVector<unsigned> phases;
  /// The other parallel dimensions.
  llvm::SmallVector<unsigned> loopDims;
  /// The dimension that runs along vector lanes, and how many lanes; with `Packing::Vectors` only
  /// behind the sums.
  std::optional<unsigned> vectorDim;
  int64_t lanes = 1;
  /// How products of int8 are computed. With the DSP extension four bytes along `packedDim` are
  /// loaded at a time, and widened to two registers of two halves each.
  enum class Packing {
    None,
    /// DSP extension, along a reduction: an instruction adds two products to one sum.
    Pairs,
    /// As pairs, where neighbours of one factor, or of both, lie along a parallel dimension: its
    /// bytes of two rows are put together.
    Rows,
    /// DSP extension, along a parallel dimension: an instruction adds the product of two halves.
    Lanes,
    /// Along a reduction, in vectors: an instruction adds all their products to one sum.
    Vectors,
    /// In vectors along a parallel dimension: a lane adds the products of a group of terms. See
    /// `KernelModel::packed`.
    Groups,
    /// In vectors along a parallel dimension: a lane adds one product of int16.
    Halves,
  };
  Packing packing = Packing::None;
  unsigned packedDim = 0;
  /// With `Packing::Rows` the dimension that runs along the rows of each factor that has them.
  std::array<std::optional<unsigned>, 2> alongRow;
  /// A reduction around `packedDim` whose steps go on where those of `packedDim` end: where
  /// neither is guarded, both are one run of neighbours.
  std::optional<unsigned> joinedDim;
  /// True if the packed factors of the first input stay in registers while the innermost loop runs
  /// over results that share them.
  bool holdsInput = false;
  /// Short loops over a window are unrolled, with code of its own for the image's border; of other
  /// reductions so many terms are computed in one turn. For cores without vectors, where a loop's
  /// own instructions count, and kernels with enough terms to be worth the code.
  bool unrollsWindows = false;
  int64_t termsPerTurn = 1;
  /// Where a few terms of a small image are code without loops (WindowEmitter.cpp): for each row
  /// and channel, the columns of a tile and all phases together. The loop nest then runs over
  /// `rowDims` and these.
  struct Window {
    unsigned channels, rows, columns;
  };
  std::optional<Window> window;
  /// Of a depthwise weight's gradient: a tile has the taps of a row, and the columns of the image
  /// are code without a loop, so that it is known which terms lie in the padding.
  struct TapRow {
    unsigned taps, columns;
  };
  std::optional<TapRow> tapRow;
  /// Terms that an instruction adds to a lane, with `Packing::Groups`, and how.
  int64_t group = 1;
  ByteProducts byteProducts = ByteProducts::Plain;
  /// Step of each parallel dimension's loop: as many elements are computed at a time.
  llvm::SmallVector<int64_t> tile;

  /// How much of an operand the results may overlap: most with pixel by pixel. Around the other
  /// loops, one over rows leaves them less, one over channels nothing; the fewer times are weights
  /// loaded. Both are for windows only.
  enum class Order { Pixels, Rows, Channels };

  /// Chooses by the number of loads and operations per element.
  static Blocking choose(const KernelModel &model, const TargetInfo &target,
                         Order order = Order::Pixels);

  /// True where operands are read through pointers that move along (PointerEmitter.cpp).
  bool usesPointers() const { return packsTerms() || packing == Packing::Lanes; }
  /// True where neighbours along a reduction are multiplied at a time.
  bool packsTerms() const {
    return packing == Packing::Pairs || packing == Packing::Rows || packing == Packing::Vectors;
  }

  /// The layout in which a kernel would best read its second input, if another one than that of
  /// its indices.
  static std::optional<KernelModel::PackedWeights> packingOf(const KernelModel &model,
                                                             const TargetInfo &target);
  /// Where bytes of the second input had better lie as halfwords: `KernelModel::widenedRun`.
  static std::optional<int64_t> wideningOf(const KernelModel &model, const TargetInfo &target);
};

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_BLOCKING_H
