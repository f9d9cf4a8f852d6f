//===- Blocking.cpp - Chooses vectors and register tiles -------------------------===//

#include "lib/Target/Blocking.h"

#include "lib/Target/AccessAnalysis.h"

#include <functional>
#include <numeric>

using namespace mlir;
using namespace tinytrain;

namespace {

/// Terms that VMLADAV takes as int16.
constexpr int64_t kShortestVector = 8;

class Chooser {
public:
  Chooser(const KernelModel &model, const TargetInfo &target,
          Blocking::Order order = Blocking::Order::Pixels)
      : model(model), target(target), order(order), phases(findPhases(model)),
        dims(model.extents.size()) {
    for (const auto &input : model.inputs)
      if (input)
        reads.push_back(&*input);
    for (unsigned r : model.reductions)
      reductionTrip *= model.extents[r];
  }

  Blocking choose() {
    Blocking blocking;
    blocking.phases = phases;
    for (unsigned d : model.parallel) {
      if (runsBeforePhases(d))
        blocking.rowDims.push_back(d);
      else if (!llvm::is_contained(phases, d))
        blocking.loopDims.push_back(d);
    }
    blocking.tile.assign(dims, 1);
    if (std::optional<Blocking::Window> window = findWindow()) {
      useWindow(blocking, *window);
      return blocking;
    }
    if (std::optional<Blocking::TapRow> tapRow = findTapRow()) {
      blocking.tapRow = tapRow;
      blocking.tile[tapRow->taps] = model.extents[tapRow->taps];
      llvm::erase(blocking.loopDims, tapRow->taps);
      blocking.loopDims.push_back(tapRow->taps);
      return blocking;
    }
    if (model.packed)
      usePackedWeights(blocking);
    else if (target.byteProducts == ByteProducts::SMLAD && model.zeroPoints)
      choosePacking(blocking);
    else if (hasVectorProducts())
      useVectorProducts(blocking);
    else
      chooseVectorDim(blocking);
    blocking.unrollsWindows =
        target.isMicrocontroller &&
        (blocking.usesPointers() || (!blocking.vectorDim && isWorthUnrolling()));
    if (blocking.unrollsWindows && blocking.packing == Blocking::Packing::None && model.isSum &&
        llvm::all_of(reads, [&](const Access *a) { return model.offsetOf(*a).has_value(); }))
      blocking.termsPerTurn = 4;
    if (blocking.vectorDim && isParallel(*blocking.vectorDim))
      blocking.tile[*blocking.vectorDim] = blocking.lanes;
    if (blocking.holdsInput)
      chooseHeldTile(blocking);
    else if (!model.reductions.empty())
      chooseTile(blocking);
    return blocking;
  }

  /// See `Blocking::packingOf`.
  std::optional<KernelModel::PackedWeights> packing() const {
    if (!target.vectorBits || !model.isSum || model.join || !phases.empty() || reads.size() != 2 ||
        model.inputs.size() != 2 || !reads[1]->guards.empty() || !channelsOf(*reads[1]) ||
        hasVectorProducts())
      return std::nullopt;
    const Access &x = *reads[0], &w = *reads[1];
    unsigned d = *channelsOf(w);
    if (dependenceOf(x, d, dims).any || !isVectorOfResults(d))
      return std::nullopt;
    // Slices start and end where vectors and groups do.
    ArrayRef<int64_t> shape = model.operandTypes[w.operand].getShape();
    int64_t lanes = 1, group = 1, last = model.reductions.back();
    int64_t channels = std::gcd(shape.front(), firstOf(w.index.front()));
    while (lanes * 2 <= target.lanes(32) && divides(lanes * 2, d) && channels % (lanes * 2) == 0)
      lanes *= 2;
    // A few channels of many add up in the same order as all of them would.
    bool isSlice = model.extents[d] < shape.front();
    if (lanes < (isSlice ? 2 : 4))
      return std::nullopt;
    if (model.zeroPoints) {
      group = target.productsPerLane();
      if (lanes * 32 < target.minGroupBits() || model.zeroPoints->at(1) != 0 ||
          isGuarded(x, last) || !dependenceOf(x, last, dims).contiguous ||
          model.extents[last] % group || std::gcd(shape.back(), firstOf(w.index.back())) % group)
        group = 1;
    }
    return KernelModel::PackedWeights{lanes, group};
  }

  /// See `Blocking::wideningOf`. It takes flash; so many results for each weight make it worth it.
  std::optional<int64_t> widening() const {
    constexpr int64_t kResultsPerWeight = 16;
    if (target.byteProducts != ByteProducts::SMLAD || !model.zeroPoints || !model.isSum ||
        model.join || model.inputs.size() != 2 || reads.size() != 2 ||
        model.zeroPoints->at(1) != 0 || !reads[1]->guards.empty() || !channelsOf(*reads[1]))
      return std::nullopt;
    const Access &w = *reads[1];
    int64_t results = 1;
    for (unsigned d : model.parallel)
      results *= d == channelsOf(w) ? 1 : model.extents[d];
    Blocking blocking;
    blocking.tile.assign(dims, 1);
    choosePacking(blocking);
    int64_t last = model.reductions.back();
    bool isWhole = model.extents[last] == model.operandTypes[w.operand].getShape().back();
    if (results < kResultsPerWeight || blocking.packing != Blocking::Packing::Pairs ||
        (!isWhole && (blocking.joinedDim || firstOf(w.index.back()) % kBytesPerWord)))
      return std::nullopt;
    return blocking.joinedDim ? 2 : 1;
  }

private:
  /// Where a slice starts: of an index that is a dimension plus a constant, the constant.
  int64_t firstOf(AffineExpr index) const { return Linear::get(index, dims)->constant; }

  /// The parallel dimension of an access to weights, whose indices are one, then the reductions.
  std::optional<unsigned> channelsOf(const Access &access) const {
    SmallVector<unsigned> found;
    for (AffineExpr e : access.index) {
      std::optional<Linear> linear = Linear::get(e, dims);
      if (!linear || llvm::count(linear->coefficients, 0) + 1 < dims)
        return std::nullopt;
      for (auto [d, c] : llvm::enumerate(linear->coefficients))
        if (c == 1)
          found.push_back(d);
        else if (c)
          return std::nullopt;
    }
    if (found.empty() || !isParallel(found.front()) ||
        ArrayRef(found).drop_front() != ArrayRef(model.reductions))
      return std::nullopt;
    return found.front();
  }

  void usePackedWeights(Blocking &blocking) const {
    blocking.vectorDim = channelsOf(*model.inputs[1]);
    blocking.lanes = model.packed->lanes;
    blocking.group = model.packed->group;
    blocking.byteProducts = target.byteProducts;
    if (blocking.group > 1)
      blocking.packing = Blocking::Packing::Groups;
    else if (multipliesHalves())
      blocking.packing = Blocking::Packing::Halves;
  }

  /// Dimensions ahead of the first phase, images and rows, stay ahead of it, so that results
  /// appear from the first row to the last and may overlap what has been read. A condition on what
  /// is stored needs the phase first.
  bool runsBeforePhases(unsigned d) const {
    return !phases.empty() && d < phases.front() && !isAnyStoreGuarded(model, d);
  }

  /// True of sums of f32, and of products of int8, without a bias, that are so small that f32 holds
  /// them.
  bool sumsAreExactInFloat() const {
    constexpr int64_t kLargest = 1 << 24, kProduct = 1 << 14;
    if (!model.startValues[0])
      return false;
    return isa<FloatType>(model.startValues[0].getType()) ||
           (model.zeroPoints == std::array<int64_t, 2>{0, 0} && !model.bias &&
            reductionTrip * kProduct <= kLargest);
  }

  /// See `Blocking::window`: f32 on a core without vectors, one channel of both factors for each
  /// result, and not too much code.
  std::optional<Blocking::Window> findWindow() const {
    if (order == Blocking::Order::Pixels || !target.isMicrocontroller || !target.hasFPU ||
        target.vectorBits || !model.isSum || !isWorthUnrolling() || model.join ||
        reads.size() != 2 || model.reductions.size() != 2 || !sumsAreExactInFloat())
      return std::nullopt;
    const Access &x = *reads[0], &w = *reads[1];
    if (&x != &*model.inputs[0] || &w != &*model.inputs[1])
      return std::nullopt;
    SmallVector<unsigned> loops;
    for (unsigned d : model.parallel)
      if (!llvm::is_contained(phases, d) && model.extents[d] > 1)
        loops.push_back(d);
    if (loops.size() < 3)
      return std::nullopt;
    Blocking::Window window{loops.back(), loops[loops.size() - 3], loops[loops.size() - 2]};
    unsigned c = window.channels;
    if (!dependenceOf(x, c, dims).contiguous || !dependenceOf(w, c, dims).contiguous ||
        isGuarded(x, c) || isGuarded(w, c))
      return std::nullopt;
    for (unsigned d : loops)
      if ((d != c && dependenceOf(w, d, dims).any) || isGuarded(w, d) ||
          isAnyStoreGuarded(model, d) ||
          (d != window.rows && d != window.columns && isGuarded(x, d)))
        return std::nullopt;
    constexpr int64_t kTerms = 3000;
    if (windowTerms(window) > kTerms)
      return std::nullopt;
    return window;
  }

  /// Terms that code is written for: of each row in the border, and of one inside.
  int64_t windowTerms(const Blocking::Window &window) const {
    int64_t columns = model.extents[window.columns], rows = model.extents[window.rows];
    int64_t border = rows - interiorOf(window.rows);
    int64_t terms = columns * reductionTrip;
    for (unsigned d : phases)
      terms *= model.extents[d];
    return terms * std::min(border + 1, rows);
  }

  void useWindow(Blocking &blocking, Blocking::Window window) const {
    constexpr int64_t kColumns = 8;
    blocking.window = window;
    blocking.rowDims.clear();
    for (unsigned d : model.parallel)
      if (!llvm::is_contained({window.channels, window.rows, window.columns}, d) &&
          !llvm::is_contained(phases, d))
        blocking.rowDims.push_back(d);
    blocking.loopDims = {window.rows, window.channels, window.columns};
    if (order == Blocking::Order::Channels)
      std::swap(blocking.loopDims[0], blocking.loopDims[1]);
    int64_t width = phases.empty() ? 1 : model.extents[phases.back()];
    blocking.tile[window.columns] =
        std::min(model.extents[window.columns], std::max<int64_t>(1, kColumns / width));
  }

  /// See `Blocking::tapRow`: on a core without vectors, a sum over images, rows and columns of
  /// factors of the same channel, and taps that meet the padding together with the columns.
  std::optional<Blocking::TapRow> findTapRow() const {
    constexpr int64_t kTerms = 512;
    if (!target.isMicrocontroller || target.vectorBits || !model.isSum || !isWorthUnrolling() ||
        model.join || reads.size() != 2 || model.inputs.size() != 2 ||
        model.reductions.size() != 3 || !phases.empty())
      return std::nullopt;
    const Access &x = *reads[0], &g = *reads[1];
    unsigned columns = model.reductions.back();
    std::optional<unsigned> taps, channels;
    for (unsigned d : model.parallel) {
      if (dependenceOf(x, d, dims).contiguous && dependenceOf(g, d, dims).contiguous)
        channels = d;
      else if (dependenceOf(x, d, dims).any && !dependenceOf(g, d, dims).any &&
               model.extents[d] > 1)
        taps = d; // the last one: a row's
    }
    if (!channels || !taps || isAnyInputGuarded(model, *channels) || !g.guards.empty() ||
        !model.offsetOf(x) || !model.offsetOf(g) ||
        model.extents[*taps] * model.extents[columns] > kTerms)
      return std::nullopt;
    // The padding of a row is a matter of its taps and columns alone.
    for (const Guard &guard : x.guards) {
      std::optional<Linear> e = Linear::get(guard.expr, dims);
      if (!e)
        return std::nullopt;
      for (unsigned d = 0; d < dims; ++d)
        if (e->coefficients[d] && d != columns && d != *taps &&
            (e->coefficients[columns] || e->coefficients[*taps]))
          return std::nullopt;
    }
    return Blocking::TapRow{*taps, columns};
  }

  /// True where so many terms are computed that code without loops is worth its flash, or where it
  /// takes hardly more: a few bits or a small window of one operand.
  bool isWorthUnrolling() const {
    constexpr int64_t kTerms = 10000, kFew = 8;
    if (reads.size() == 1 && reductionTrip <= kFew)
      return true;
    int64_t terms = 1;
    for (int64_t extent : model.extents)
      terms *= extent;
    return terms >= kTerms;
  }

  bool isParallel(unsigned d) const { return llvm::is_contained(model.parallel, d); }

  void chooseVectorDim(Blocking &blocking) {
    // Factors of int8 are halfwords first: twice as many lanes fill two vectors of sums.
    unsigned maxLanes = target.lanes(multipliesHalves() ? 16 : 32);
    double best = 1.0 + reads.size(); // cost per element of scalar code
    for (unsigned d = 0; d < dims; ++d) {
      if (llvm::is_contained(phases, d) || runsBeforePhases(d) || (!isParallel(d) && !model.isSum))
        continue;
      int64_t lanes = 1;
      while (lanes * 2 <= maxLanes && divides(lanes * 2, d))
        lanes *= 2;
      if (lanes == 1 || lanes * 32 < target.minVectorBits || isAnyInputGuarded(model, d) ||
          isAnyStoreGuarded(model, d))
        continue;
      double cost = 1.0;
      for (const Access *access : reads) {
        Dependence dependence = dependenceOf(*access, d, dims);
        cost += !dependence.any ? 0.5 : dependence.contiguous ? 1.0 : 2.0 * lanes;
      }
      // What is done once per result: a horizontal sum, or stores lane by lane.
      double once = 0;
      for (const auto &store : model.stores)
        once += !isParallel(d) ? 8.0 : dependenceOf(store.access, d, dims).contiguous ? 1.0 : lanes;
      for (const EpilogueOp &epilogue : model.epilogue)
        for (const auto &input : epilogue.inputs)
          if (input.access && isParallel(d)) {
            Dependence dependence = dependenceOf(*input.access, d, dims);
            once += dependence.any && !dependence.contiguous ? 2.0 * lanes : 1.0;
          }
      double trips =
          isParallel(d) ? reductionTrip : std::max<double>(1, double(reductionTrip) / lanes);
      cost = (cost + once / trips) / lanes;
      if (cost < best) {
        best = cost;
        blocking.vectorDim = d;
        blocking.lanes = lanes;
      }
    }
    if (blocking.vectorDim && isParallel(*blocking.vectorDim) && multipliesHalves())
      blocking.packing = Blocking::Packing::Halves;
  }

  /// True where the products of two vectors of int16 are a matter of two instructions.
  bool multipliesHalves() const {
    return model.zeroPoints && reads.size() == 2 &&
           (target.byteProducts == ByteProducts::SDOT ||
            target.byteProducts == ByteProducts::SMULL);
  }

  /// True where VMLADAV suits: both factors are neighbours along the sum, and enough of them.
  bool hasVectorProducts() const {
    return target.byteProducts == ByteProducts::VMLADAV && model.zeroPoints &&
           model.zeroPoints->at(1) == 0 && !model.reductions.empty() && reads.size() == 2 &&
           phases.empty() && vectorRun() >= kShortestVector &&
           llvm::all_of(reads, [&](const Access *a) {
             return dependenceOf(*a, model.reductions.back(), dims).contiguous &&
                    !isGuarded(*a, model.reductions.back());
           });
  }

  /// Neighbours that vectors run along.
  int64_t vectorRun() const {
    unsigned d = model.reductions.back();
    std::optional<unsigned> joined = joinedDimOfVectors();
    return model.extents[d] * (joined ? model.extents[*joined] : 1);
  }

  /// Short runs are joined to longer ones.
  std::optional<unsigned> joinedDimOfVectors() const {
    unsigned d = model.reductions.back();
    return model.extents[d] < kShortestVector ? findJoinedDim(d) : std::nullopt;
  }

  void useVectorProducts(Blocking &blocking) const {
    blocking.packing = Blocking::Packing::Vectors;
    blocking.packedDim = model.reductions.back();
    blocking.joinedDim = joinedDimOfVectors();
    int64_t lanes = target.lanes(32);
    for (unsigned d : model.parallel)
      if (divides(lanes, d) && isVectorOfResults(d)) {
        blocking.vectorDim = d;
        blocking.lanes = lanes;
      }
  }

  /// True if what follows the sums can be computed in vectors along `d`.
  bool isVectorOfResults(unsigned d) const {
    auto isContiguous = [&](const Access &a) {
      return dependenceOf(a, d, dims).contiguous && !isGuarded(a, d);
    };
    return !isAnyInputGuarded(model, d) &&
           llvm::all_of(model.stores, [&](auto &s) { return isContiguous(s.access); }) &&
           llvm::all_of(model.epilogue, [&](const EpilogueOp &epilogue) {
             return llvm::all_of(epilogue.inputs, [&](const EpilogueOp::Input &input) {
               return !input.access || !dependenceOf(*input.access, d, dims).any ||
                      isContiguous(*input.access);
             });
           });
  }

  /// Four bytes of both factors at a time along a reduction, or of one along what is stored.
  void choosePacking(Blocking &blocking) const {
    auto isContiguous = [&](const Access *a, unsigned d) {
      return dependenceOf(*a, d, dims).contiguous && !isGuarded(*a, d);
    };
    if (!model.reductions.empty() && llvm::all_of(reads, [&](const Access *a) {
          return isContiguous(a, model.reductions.back());
        })) {
      unsigned d = model.reductions.back();
      blocking.packedDim = d;
      if (model.widenedRun == 2)
        blocking.joinedDim = model.reductions[model.reductions.size() - 2];
      else if (!model.widenedRun && model.extents[d] % kBytesPerWord)
        blocking.joinedDim = findJoinedDim(d);
      if (blocking.joinedDim || model.extents[d] >= kBytesPerWord) {
        blocking.packing = Blocking::Packing::Pairs;
        blocking.holdsInput = canHoldInput(blocking);
        return;
      }
    }
    if (findRows(blocking))
      return;
    for (unsigned d : blocking.loopDims)
      if (divides(kBytesPerWord, d) &&
          llvm::any_of(reads, [&](const Access *a) { return isContiguous(a, d); }) &&
          llvm::all_of(reads, [&](const Access *a) {
            return isContiguous(a, d) || !dependenceOf(*a, d, dims).any;
          })) {
        blocking.packing = Blocking::Packing::Lanes;
        blocking.packedDim = d;
        blocking.tile[d] = kBytesPerWord;
        return;
      }
  }

  /// See `Blocking::Packing::Rows`.
  bool findRows(Blocking &blocking) const {
    if (model.reductions.empty() || reads.size() != 2 ||
        model.extents[model.reductions.back()] < kBytesPerWord)
      return false;
    unsigned r = model.reductions.back();
    auto isContiguous = [&](const Access *a, unsigned d) {
      return dependenceOf(*a, d, dims).contiguous && !isGuarded(*a, d);
    };
    std::array<std::optional<unsigned>, 2> alongRow;
    for (unsigned i : {0, 1}) {
      if (isGuarded(*reads[i], r) || !model.offsetOf(*reads[i]))
        return false;
      if (isContiguous(reads[i], r))
        continue;
      for (unsigned d : blocking.loopDims)
        if (divides(kBytesPerHalf, d) && isContiguous(reads[i], d) &&
            !isAnyInputGuarded(model, d) && !isAnyStoreGuarded(model, d) &&
            !dependenceOf(*reads[1 - i], d, dims).any)
          alongRow[i] = d;
      if (!alongRow[i])
        return false;
    }
    blocking.packing = Blocking::Packing::Rows;
    blocking.packedDim = r;
    blocking.alongRow = alongRow;
    for (std::optional<unsigned> d : alongRow)
      if (d)
        blocking.tile[*d] = kBytesPerHalf;
    return true;
  }

  /// With widened weights, up to four words of the first input fit the registers.
  bool canHoldInput(const Blocking &blocking) const {
    const Access &input = *model.inputs[0];
    int64_t terms = 1;
    for (unsigned d : model.reductions)
      terms *= model.extents[d];
    return model.widenedRun && terms % kBytesPerWord == 0 && terms <= 4 * kBytesPerWord &&
           !model.join && input.guards.empty() && blocking.loopDims.size() > 1 &&
           !dependenceOf(input, blocking.loopDims.back(), dims).any;
  }

  void chooseHeldTile(Blocking &blocking) const {
    for (int64_t size : {8, 4, 2})
      if (unsigned d = blocking.loopDims.back(); divides(size, d)) {
        blocking.tile[d] = size;
        return;
      }
  }

  /// See `Blocking::joinedDim`.
  std::optional<unsigned> findJoinedDim(unsigned d) const {
    if (model.join || model.reductions.size() < 2)
      return std::nullopt;
    unsigned around = model.reductions[model.reductions.size() - 2];
    int64_t size = model.extents[around] * model.extents[d];
    bool goesOn = llvm::all_of(reads, [&](const Access *a) {
      std::optional<Linear> offset = model.offsetOf(*a);
      return offset && offset->coefficients[around] == model.extents[d];
    });
    if (!goesOn || llvm::is_contained(phases, around) || size < kBytesPerWord || size > 32)
      return std::nullopt;
    return around;
  }

  /// Instructions per product of vectors; sums are in scalar registers, and of whole vectors those
  /// of the weights, for the zero point.
  double vectorProductCost(ArrayRef<int64_t> tile) const {
    constexpr double kVectors = 7, kSums = 10;
    auto countOf = [&](const Access &access) {
      double count = 1;
      for (unsigned d : model.parallel)
        if (dependenceOf(access, d, dims).any)
          count *= tile[d];
      return count;
    };
    double points = 1, xs = countOf(*reads[0]), ws = countOf(*reads[1]);
    for (unsigned d : model.parallel)
      points *= tile[d];
    bool hasWhole = vectorRun() >= kBytesPerVector;
    double corrections = hasWhole && model.zeroPoints->at(0) ? ws : 0;
    if (xs + ws > kVectors || points + corrections > kSums)
      return 1e9;
    return (xs + ws + corrections + points) / points;
  }

  /// Instructions per product of rows put together, of two terms of each sum. More than four sums
  /// leave too few registers.
  double rowTileCost(const Blocking &blocking, ArrayRef<int64_t> tile) const {
    constexpr double kSums = 4;
    double points = 1, loads = 0;
    for (unsigned d : model.parallel)
      points *= tile[d];
    for (unsigned i : {0, 1}) {
      double count = blocking.alongRow[i] ? 2.5 : 1.5;
      for (unsigned d : model.parallel)
        if (dependenceOf(*reads[i], d, dims).any)
          count *= tile[d];
      loads += count;
    }
    return points > kSums ? 1e9 : (loads + points) / (2 * points);
  }

  /// Instructions per product of a tile of packed int8, or infinity where it does not fit the
  /// registers: a word is loaded and widened in three instructions.
  double packedTileCost(const Blocking &blocking, ArrayRef<int64_t> tile) const {
    constexpr double kRegisters = 14, kAddresses = 4;
    if (blocking.packing == Blocking::Packing::Rows)
      return rowTileCost(blocking, tile);
    bool isPairs = blocking.packing == Blocking::Packing::Pairs;
    double points = 1, loads = 0, held = 1e9;
    for (unsigned d : model.parallel)
      points *= tile[d];
    for (const Access *access : reads) {
      double count = 1;
      bool isPacked = dependenceOf(*access, blocking.packedDim, dims).any;
      for (unsigned d : model.parallel)
        if (dependenceOf(*access, d, dims).any)
          count *= d == blocking.packedDim ? 1 : tile[d];
      bool isWide = model.widenedRun && access == reads[1];
      loads += count * (!isPacked ? 1 : isWide ? 1.5 : 3);
      // Widened weights are used at once, the other factor's registers by all of them.
      if (!model.widenedRun)
        held = std::min(held, count * (isPacked ? 2 : 1));
      else if (!isWide)
        held = 2 * count - 1;
    }
    if (points + held + 2 + kAddresses > kRegisters + (isPairs ? 0 : 2))
      return 1e9;
    return isPairs ? (loads + 2 * points) / (4 * points) : (loads + points) / points;
  }

  /// Loads and operations per result element of a tile, or infinity where it does not fit the
  /// registers.
  double tileCost(const Blocking &blocking, ArrayRef<int64_t> tile) const {
    if (blocking.packing == Blocking::Packing::Vectors)
      return vectorProductCost(tile);
    if (blocking.usesPointers())
      return packedTileCost(blocking, tile);
    double points = 1, loads = 0, streams = 0, smallest = 1e9;
    for (unsigned d : model.parallel)
      points *= unrollOf(blocking, tile, d);
    for (const Access *access : reads) {
      double count = 1;
      for (unsigned d : model.parallel)
        if (dependenceOf(*access, d, dims).any)
          count *= unrollOf(blocking, tile, d);
      // An integer among floats is moved and converted.
      loads +=
          count * (isInteger(*access) && !model.zeroPoints && target.isMicrocontroller ? 3 : 1);
      smallest = std::min(smallest, count);
      streams += count;
    }
    double accumulators = points * model.numRootResults();
    double held = reads.size() > 1 ? smallest + 1 : 1;
    if (accumulators + held > target.floatRegisters || points > 24)
      return 1e9;
    // A core has about a dozen address registers: many streams of addresses spill.
    double spills = target.isMicrocontroller ? std::max(0.0, streams - 8) : 0;
    return (points + loads + spills) / points;
  }

  bool isInteger(const Access &access) const {
    return model.operandTypes[access.operand].getElementType().isInteger();
  }

  static int64_t unrollOf(const Blocking &blocking, ArrayRef<int64_t> tile, unsigned d) {
    return blocking.vectorDim == d ? tile[d] / blocking.lanes : tile[d];
  }

  void chooseTile(Blocking &blocking) {
    SmallVector<int64_t> tile = blocking.tile;
    // Dimensions some read does not depend on: unrolling them saves its loads.
    SmallVector<unsigned> candidates;
    for (unsigned d : model.parallel)
      if (!llvm::is_contained(phases, d) && !runsBeforePhases(d) &&
          llvm::any_of(reads, [&](const Access *a) { return !dependenceOf(*a, d, dims).any; }))
        candidates.push_back(d);
    double best = tileCost(blocking, tile);
    std::function<void(unsigned)> search = [&](unsigned i) {
      if (i == candidates.size()) {
        double cost = 0, border = borderShare(tile);
        cost = tileCost(blocking, tile) * (1 - border) + border * 2.5;
        if (cost < best - 1e-9) {
          best = cost;
          blocking.tile = tile;
        }
        return;
      }
      unsigned d = candidates[i];
      int64_t unit = tile[d];
      for (int64_t factor : {1, 2, 3, 4, 5, 6, 8}) {
        int64_t size = unit * factor;
        if (size > (factor == 1 ? model.extents[d] : interiorOf(d)))
          break;
        if ((isJoined(d) || !mayHaveBorder(d)) && !divides(size, d))
          continue;
        // Rows in flight at once are rows that a result cannot overlap.
        if (size > unit && mayHaveBorder(d) && hasBorderBehind(d))
          continue;
        tile[d] = size;
        search(i + 1);
      }
      tile[d] = unit;
    };
    search(0);
  }

  bool isJoined(unsigned d) const { return model.join && model.join->dim == d; }

  /// True if steps of `size` end where the dimension does, and where joined operands meet.
  bool divides(int64_t size, unsigned d) const {
    return model.extents[d] % size == 0 && (!isJoined(d) || model.join->at % size == 0);
  }

  bool mayHaveBorder(unsigned d) const {
    return isAnyInputGuarded(model, d) || isAnyStoreGuarded(model, d);
  }

  /// True if a loop further in meets padding too.
  bool hasBorderBehind(unsigned d) const {
    return llvm::any_of(model.parallel, [&](unsigned other) {
      return other > d && !llvm::is_contained(phases, other) && mayHaveBorder(other);
    });
  }

  /// How many positions along a dimension meet no padding, wherever the reductions are.
  int64_t interiorOf(unsigned d) const {
    SmallVector<Linear> guards;
    SmallVector<int64_t> sizes;
    for (const Access *access : reads)
      for (const Guard &guard : access->guards)
        if (std::optional<Linear> e = Linear::get(guard.expr, dims); e && e->coefficients[d]) {
          guards.push_back(*e);
          sizes.push_back(guard.size);
        }
    int64_t count = 0;
    for (int64_t v = 0; v < model.extents[d]; ++v)
      count += llvm::all_of_zip(guards, sizes, [&](const Linear &e, int64_t size) {
        int64_t low = e.constant + e.coefficients[d] * v, high = low;
        for (unsigned r : model.reductions) {
          int64_t last = e.coefficients[r] * (model.extents[r] - 1);
          low += std::min<int64_t>(0, last);
          high += std::max<int64_t>(0, last);
        }
        return low >= 0 && high < size;
      });
    return count;
  }

  /// The share of elements that guarded dimensions leave to code without a tile.
  double borderShare(ArrayRef<int64_t> tile) const {
    double inside = 1;
    for (unsigned d : model.parallel) {
      if (tile[d] == 1 || !mayHaveBorder(d))
        continue;
      inside *= double(interiorOf(d) / tile[d] * tile[d]) / model.extents[d];
    }
    return 1 - inside;
  }

  const KernelModel &model;
  const TargetInfo &target;
  Blocking::Order order;
  SmallVector<unsigned> phases;
  unsigned dims;
  SmallVector<const Access *> reads;
  int64_t reductionTrip = 1;
};

} // namespace

Blocking Blocking::choose(const KernelModel &model, const TargetInfo &target, Order order) {
  return Chooser(model, target, order).choose();
}

std::optional<int64_t> Blocking::wideningOf(const KernelModel &model, const TargetInfo &target) {
  return Chooser(model, target).widening();
}

std::optional<KernelModel::PackedWeights> Blocking::packingOf(const KernelModel &model,
                                                              const TargetInfo &target) {
  return Chooser(model, target).packing();
}
