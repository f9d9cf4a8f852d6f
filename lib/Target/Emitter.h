//===- Emitter.h - What the emission of loops and elements shares -----*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_EMITTER_H
#define TINYTRAIN_LIB_TARGET_EMITTER_H

#include "lib/Target/KernelEmitter.h"

#include "mlir/IR/IRMapping.h"

#include <map>
#include <set>

namespace tinytrain {

/// A half-open range of positions.
struct Interval {
  int64_t low, high;
};

/// Emits the loop nest of one kernel: `KernelEmitter.cpp` the loops, `ElementEmitter.cpp` what is
/// loaded, computed and stored at one place, `PackedProducts.cpp` sums of products of packed int8,
/// `GroupProducts.cpp` those of groups in vectors,
/// `PointerEmitter.cpp` pointers that move along, `WindowEmitter.cpp` windows without loops,
/// `ThreadEmitter.cpp` what each thread's share is.
class Emitter {
public:
  Emitter(mlir::OpBuilder &b, mlir::Location loc, const KernelModel &model,
          const Blocking &blocking, mlir::ValueRange operands, std::optional<Share> share)
      : b(b), loc(loc), model(model), operands(operands), dims(model.extents.size()),
        blocking(blocking), share(share) {
    for (unsigned d = 0; d < dims; ++d) {
      position.push_back(b.getAffineDimExpr(d));
      ranges.push_back({0, model.extents[d]});
    }
    ivs.assign(dims, mlir::Value());
    tile = blocking.tile;
  }

  void emit();

private:
  using Values = llvm::SmallVector<mlir::Value>;

  /// Pointers to the root's inputs at some position: elements are loaded at constant distances
  /// from them.
  struct Anchor {
    struct Input {
      mlir::Type element;
      /// How far an element lies from the start of its operand, over all dimensions.
      mlir::AffineExpr offset;
      /// In ascending order of what they point to, in elements from the position.
      llvm::SmallVector<std::pair<int64_t, mlir::Value>, 1> pointers;
      /// How far they move in a turn of the innermost moving loop.
      int64_t step = 0;
    };
    llvm::SmallVector<Input, 2> inputs;
    /// Of other operands, where they are reached like this too, by number.
    std::map<unsigned, Input> others;

    void forEach(llvm::function_ref<void(Input &)> body) {
      llvm::for_each(inputs, body);
      for (auto &[operand, input] : others)
        body(input);
    }
    llvm::SmallVector<mlir::AffineExpr> position;
    /// Of the operands behind the place where two are joined.
    bool inUpper = false;
  };

  std::optional<unsigned> findSharedDim() const;
  std::pair<mlir::Value, mlir::Value> shareOf(int64_t low, int64_t high, int64_t step);
  void emitRows(unsigned i);
  void emitPhases(unsigned i);
  void emitParallel(unsigned i);
  void emitRange(unsigned i, Interval all);
  void forEachPart(unsigned d, Interval range, llvm::function_ref<void(Interval)> body);
  bool bordersAreKnown(unsigned d) const;
  void emitBorder(unsigned i, Interval range);
  void emitInterior(unsigned i, Interval range);
  void emitBetweenBorders(unsigned i, Interval before, Interval inside, Interval after);
  llvm::SmallVector<llvm::SmallVector<int64_t>> tilePoints(int64_t lanes) const;
  llvm::SmallVector<llvm::SmallVector<int64_t>> tilePoints() const {
    return tilePoints(hasVectorProducts() ? 1 : blocking.lanes);
  }
  void emitTile();
  void emitFence();
  void emitPoints(llvm::ArrayRef<llvm::SmallVector<int64_t>> points);
  Values emitReduction(unsigned i, llvm::ArrayRef<llvm::SmallVector<int64_t>> points,
                       Values accumulators);
  Values emitReductionRange(unsigned i, Interval range,
                            llvm::ArrayRef<llvm::SmallVector<int64_t>> points, Values accumulators);
  bool dependsOnOnly(const Guard &guard, unsigned d) const;
  Interval knownRange(unsigned d, Interval range) const;
  bool isUnrolled(unsigned i) const;
  mlir::Value emitHalvesTerm(llvm::ArrayRef<int64_t> point, mlir::Value sum);
  Values emitTerms(llvm::ArrayRef<llvm::SmallVector<int64_t>> points,
                   mlir::ValueRange accumulators);
  Values emitTerm(llvm::ArrayRef<int64_t> point, mlir::ValueRange accumulators);
  void emitWindows();
  void emitWindowImages(unsigned i);
  void emitWindowChannels(llvm::function_ref<void()> body);
  void emitWindowRows(llvm::function_ref<void()> body);
  void emitWindowRow();
  void emitWindowTile(llvm::ArrayRef<llvm::SmallVector<int64_t>> points);
  Interval interiorRows();
  void holdWeights();
  mlir::Value asFloat(mlir::Value value);
  mlir::Value emitWindowTerm(llvm::ArrayRef<int64_t> point, mlir::Value sum);
  bool holds(const Guard &guard, llvm::ArrayRef<int64_t> offsets) const;
  bool isTerm(llvm::ArrayRef<int64_t> offsets) const;
  bool isInRow(llvm::ArrayRef<int64_t> offsets) const;
  Values emitColumns(Interval range, llvm::ArrayRef<llvm::SmallVector<int64_t>> points,
                     Values accumulators);
  Values emitNeighbours(Interval range, llvm::ArrayRef<llvm::SmallVector<int64_t>> points,
                        Values accumulators);
  mlir::Value loadRowPair(unsigned i, llvm::ArrayRef<int64_t> offsets, unsigned number);
  Values emitRowPairs(llvm::ArrayRef<llvm::SmallVector<int64_t>> points, Values accumulators);
  Values emitTailPair(llvm::ArrayRef<llvm::SmallVector<int64_t>> points, Values accumulators);
  Values emitEveryOtherLane(llvm::ArrayRef<llvm::SmallVector<int64_t>> points, Values accumulators);
  /// What both factors of packed products are at a time: four terms of a sum, one of the lanes of
  /// a tile, a single term; or the terms of a vector, or of half of one.
  enum class Unit { Word, Lane, Byte, Vector, HalfVector };
  Values emitPackedTerms(llvm::ArrayRef<llvm::SmallVector<int64_t>> points, Values accumulators,
                         Unit unit);
  Values emitSumOfStored(llvm::ArrayRef<llvm::SmallVector<int64_t>> points, Values accumulators);
  Values emitGroups(llvm::ArrayRef<llvm::SmallVector<int64_t>> points, Values accumulators);
  Values gatherLanes(llvm::ArrayRef<llvm::SmallVector<int64_t>> points, Values accumulators);
  void emitResults(llvm::ArrayRef<llvm::SmallVector<int64_t>> points,
                   mlir::ValueRange accumulators);

  /// Emits `for (i = low; i < high; i += step)` around `body`; a single iteration needs no loop.
  void emitLoop(unsigned d, int64_t low, int64_t high, int64_t step,
                llvm::function_ref<void()> body);
  void emitLoop(unsigned d, mlir::Value low, mlir::Value high, int64_t step,
                llvm::function_ref<void()> body);
  Values emitCarriedLoop(unsigned d, mlir::Value low, mlir::Value high, int64_t step,
                         Values carried, llvm::function_ref<Values(Values)> body);

  /// `expr` with the current loop positions, at `offsets` inside the tile.
  mlir::AffineExpr at(mlir::AffineExpr expr, llvm::ArrayRef<int64_t> offsets) const;
  /// `expr` at the current loop positions, if without division; `free`, if given, stands for
  /// itself.
  std::optional<Linear> linearOrNone(mlir::AffineExpr expr, std::optional<unsigned> free) const;
  Linear linear(mlir::AffineExpr expr, std::optional<unsigned> free = std::nullopt) const {
    return *linearOrNone(expr, free);
  }
  /// True if `guard` holds for all values in the current ranges.
  bool alwaysHolds(const Guard &guard) const;
  Interval interior(unsigned d, Interval range);
  Interval storedRange(unsigned d) const;
  std::pair<mlir::Value, mlir::Value> reductionBounds(unsigned d, Interval range);

  mlir::Value indexConstant(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, loc, value);
  }
  mlir::Value expand(mlir::AffineExpr expr);
  Values expand(llvm::ArrayRef<mlir::AffineExpr> exprs);
  mlir::Value splat(mlir::Value scalar);
  mlir::Value constant(mlir::TypedAttr value);
  /// The buffer that holds an element, and where.
  std::pair<mlir::Value, llvm::SmallVector<mlir::AffineExpr>>
  placeOf(const Access &access, llvm::ArrayRef<int64_t> offsets) const;
  mlir::Value load(const Access &access, llvm::ArrayRef<int64_t> offsets);
  mlir::Value loadWeights(llvm::ArrayRef<int64_t> offsets);
  mlir::Value loadGroup(llvm::ArrayRef<int64_t> offsets);
  mlir::Value addProducts(mlir::Value sum, mlir::Value x, mlir::Value w);
  llvm::SmallVector<llvm::SmallVector<int64_t>>
  weightVectors(llvm::ArrayRef<llvm::SmallVector<int64_t>> points) const;
  bool shareWeights(llvm::ArrayRef<int64_t> a, llvm::ArrayRef<int64_t> other) const;
  int64_t zeroPointOfStored() const;
  void setAnchor();
  Anchor::Input anchorOf(const Access &access, unsigned i);
  void anchorOthers();
  void anchorOther(const Access &access);
  void anchorStores();
  mlir::AffineExpr distanceTo(const Anchor::Input &entry, llvm::ArrayRef<int64_t> offsets) const;
  mlir::AffineExpr distanceTo(unsigned i, llvm::ArrayRef<int64_t> offsets) const {
    return distanceTo(anchor->inputs[i], offsets);
  }
  mlir::Value pointerTo(Anchor::Input &entry, mlir::AffineExpr distance);
  mlir::Value pointerToOther(const Access &access, llvm::ArrayRef<int64_t> offsets);
  mlir::Value loadAnchored(unsigned i, llvm::ArrayRef<int64_t> offsets);
  Values emitMovingLoop(unsigned d, Interval range, int64_t step,
                        llvm::ArrayRef<llvm::SmallVector<int64_t>> points, Values accumulators,
                        llvm::function_ref<Values(Values)> body);
  /// Two int16, of which `isTop` names the one that counts.
  struct Factor {
    mlir::Value halves;
    bool isTop;
  };
  Factor loadFactor(unsigned i, llvm::ArrayRef<int64_t> offsets, Unit unit, unsigned number);
  bool hasMovingTiles(unsigned i, Interval range) const;
  void emitMovingTiles(unsigned d, Interval range);
  void holdInput(unsigned d, int64_t at);
  mlir::Value loadPacked(unsigned i, mlir::AffineExpr distance, mlir::Type type,
                         int64_t alignment = 1);
  Values emitVectorTerms(llvm::ArrayRef<llvm::SmallVector<int64_t>> points, Values accumulators,
                         Unit unit);
  /// True where products of vectors are added to sums of what is stored.
  bool hasVectorProducts() const { return blocking.packing == Blocking::Packing::Vectors; }
  /// True if the bytes of an input lie as halfwords.
  bool isWidened(unsigned i) const { return i == 1 && model.widenedRun; }
  mlir::AffineExpr positionInRun(llvm::ArrayRef<mlir::AffineExpr> index) const;
  mlir::AffineExpr offsetIn(unsigned i, mlir::MemRefType type,
                            llvm::ArrayRef<mlir::AffineExpr> index) const;
  mlir::Value loadWidened(unsigned i, llvm::ArrayRef<int64_t> offsets, Unit unit, unsigned number);
  void store(mlir::Value value, const Access &access, llvm::ArrayRef<int64_t> offsets);
  bool variesAlongLanes(llvm::ArrayRef<mlir::AffineExpr> index, bool &contiguous) const;
  Values emitBody(mlir::linalg::GenericOp op, mlir::IRMapping &map,
                  llvm::ArrayRef<mlir::AffineExpr> index, llvm::ArrayRef<int64_t> offsets);

  /// True where the lanes of a tile are packed.
  bool inLanes() const {
    return blocking.packing == Blocking::Packing::Lanes && tile[blocking.packedDim] > 1;
  }

  /// Sums of lanes start from zero.
  bool startsFromBias() const { return model.bias && (!blocking.vectorDim || vectorIsParallel()); }

  bool vectorIsParallel() const {
    return blocking.vectorDim && llvm::is_contained(model.parallel, *blocking.vectorDim);
  }

  mlir::OpBuilder &b;
  mlir::Location loc;
  const KernelModel &model;
  mlir::ValueRange operands;
  unsigned dims;
  const Blocking &blocking;
  std::optional<Share> share;
  /// The dimension along which threads share the results.
  std::optional<unsigned> sharedDim;

  /// Where each dimension stands: its loop's variable (as itself) or a constant.
  llvm::SmallVector<mlir::AffineExpr> position;
  llvm::SmallVector<mlir::Value> ivs;
  llvm::SmallVector<Interval> ranges;
  llvm::SmallVector<int64_t> tile;
  /// The runs of neighbours that are emitted without a loop, one after the other.
  std::optional<Interval> unrolledRuns;
  /// True while values are vectors along `blocking.vectorDim`.
  bool vectorMode = false;
  /// True while the loops stand behind the place where joined operands meet.
  bool inUpper = false;
  /// Loads at the current place, by operand and index.
  using Place = std::pair<const void *, std::vector<const void *>>;
  static Place keyOf(mlir::Value buffer, llvm::ArrayRef<mlir::AffineExpr> index);
  std::map<Place, mlir::Value> loaded;
  /// Of the channel at hand, where they are loaded ahead.
  std::map<Place, mlir::Value> weights;
  std::optional<Anchor> anchor;
  /// True while the anchor moves along with tiles.
  bool tilesMove = false;
  /// What was loaded at the current place, by input, distance from the anchor, and bits of what
  /// is packed.
  std::map<std::tuple<unsigned, const void *, unsigned>, mlir::Value> anchored;
  /// What `Blocking::holdsInput` keeps, by offsets, and the register of a word's two.
  std::map<std::pair<llvm::SmallVector<int64_t>, unsigned>, mlir::Value> held;
  /// Of two rows, by the first one's bytes, both.
  std::map<const void *, mlir::Value> rows;
  /// Of loaded words the bytes in even and in odd places, widened.
  std::map<std::pair<const void *, unsigned>, mlir::Value> widened;
};

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_EMITTER_H
