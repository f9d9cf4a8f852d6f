//===- KernelModel.cpp - Reads a kernel's region ---------------------------------===//

#include "lib/Target/KernelModel.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace tinytrain;

namespace {

using Exprs = SmallVector<AffineExpr>;

/// A tensor inside the region that exists only as elements in registers.
struct Computed {
  unsigned number;
  Exprs index; // of the element at hand, over the root's dimensions
  SmallVector<Guard> guards;
};

class Reader {
public:
  explicit Reader(KernelOp kernel) : kernel(kernel) {}

  FailureOr<KernelModel> read() {
    for (BlockArgument arg : kernel.getKernelBlock()->getArguments())
      model.operandTypes.push_back(cast<RankedTensorType>(arg.getType()));
    // Inside a row pipeline results have no destination yet.
    if (kernel.getInits().empty())
      for (Type type : kernel.getResultTypes())
        model.operandTypes.push_back(cast<RankedTensorType>(type));
    for (Operation &op : *kernel.getKernelBlock()) {
      if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
        if (failed(model.root ? readEpilogue(generic) : readRoot(generic)))
          return failure();
      } else if (auto yield = dyn_cast<YieldOp>(op)) {
        if (failed(readYield(yield)))
          return failure();
      } else if (failed(readView(&op))) {
        return failure();
      }
    }
    findBias();
    if (auto packed = kernel->getAttrOfType<DenseI64ArrayAttr>(kPacked))
      model.packed = {packed[0], packed[1]};
    if (auto run = kernel->getAttrOfType<IntegerAttr>(kWidened))
      model.widenedRun = run.getInt();
    if (auto zeroPoint = kernel->getAttrOfType<IntegerAttr>(kFolded)) {
      if (!model.zeroPoints)
        return kernel.emitOpError()
               << "has '" << kFolded << "', which is for sums of products of int8 only";
      model.zeroPoints->at(0) = zeroPoint.getInt();
    }
    return std::move(model);
  }

private:
  LogicalResult readRoot(linalg::GenericOp op);
  LogicalResult readStart(linalg::GenericOp op, unsigned result);
  LogicalResult readEpilogue(linalg::GenericOp op);
  LogicalResult readView(Operation *op);
  LogicalResult readYield(YieldOp yield);
  void findBias();
  FailureOr<Access> resolve(Value value, Exprs index);
  FailureOr<Access> resolveJoin(tensor::ConcatOp op, Exprs index, SmallVector<Guard> guards);

  InFlightDiagnostic error(Operation *op) {
    return kernel.emitOpError() << "cannot become one loop nest: '" << op->getName() << "' ";
  }

  KernelOp kernel;
  KernelModel model;
  DenseMap<Value, Computed> computed;
  unsigned numComputed = 0;
};

} // namespace

/// Index expressions of a collapsed value from those of its source.
static Exprs collapse(ArrayRef<AffineExpr> index, ArrayRef<ReassociationIndices> groups,
                      ArrayRef<int64_t> shape, MLIRContext *context) {
  Exprs result;
  for (const ReassociationIndices &group : groups) {
    AffineExpr expr = getAffineConstantExpr(0, context);
    for (int64_t d : group)
      expr = expr * shape[d] + index[d];
    result.push_back(expr);
  }
  return result;
}

/// Index expressions in the whole tensor from those in a strided slice of it.
template <typename SliceOp> static Exprs inWhole(SliceOp op, ArrayRef<AffineExpr> index) {
  Exprs result;
  for (auto [expr, offset, stride] :
       llvm::zip_equal(index, op.getStaticOffsets(), op.getStaticStrides()))
    result.push_back(expr * stride + offset);
  return result;
}

/// The element of a kernel operand behind element `index` of `value`.
FailureOr<Access> Reader::resolve(Value value, Exprs index) {
  SmallVector<Guard> guards;
  while (Operation *def = value.getDefiningOp()) {
    if (auto pad = dyn_cast<tensor::PadOp>(def)) {
      ArrayRef<int64_t> shape = pad.getSourceType().getShape();
      for (auto [d, low] : llvm::enumerate(pad.getStaticLow())) {
        index[d] = index[d] - low;
        if (low || pad.getStaticHigh()[d])
          guards.push_back({index[d], shape[d]});
      }
      value = pad.getSource();
    } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(def)) {
      index = collapse(index, expand.getReassociationIndices(), expand.getResultType().getShape(),
                       kernel.getContext());
      // Guards keep their meaning: they speak of loop dimensions.
      value = expand.getSrc();
    } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(def)) {
      index = inWhole(slice, index);
      value = slice.getSource();
    } else if (auto concat = dyn_cast<tensor::ConcatOp>(def)) {
      return resolveJoin(concat, index, guards);
    } else {
      error(def) << "stands between a buffer and the op that reads it";
      return failure();
    }
  }
  return Access{cast<BlockArgument>(value).getArgNumber(), index, guards, std::nullopt};
}

/// An element of two operands joined along the last dimension.
FailureOr<Access> Reader::resolveJoin(tensor::ConcatOp op, Exprs index, SmallVector<Guard> guards) {
  auto dim = dyn_cast<AffineDimExpr>(index.back());
  if (!dim || op.getInputs().size() != 2 || op.getDim() + 1 != index.size() ||
      !llvm::all_of(op.getInputs(), llvm::IsaPred<BlockArgument>)) {
    error(op) << "does not join two operands along the loop over their last dimension";
    return failure();
  }
  auto lower = cast<BlockArgument>(op.getInputs()[0]),
       upper = cast<BlockArgument>(op.getInputs()[1]);
  KernelModel::Join join{dim.getPosition(), cast<ShapedType>(lower.getType()).getShape().back()};
  if (model.join && (model.join->dim != join.dim || model.join->at != join.at)) {
    error(op) << "joins operands at another place than an earlier one";
    return failure();
  }
  model.join = join;
  return Access{lower.getArgNumber(), index, guards, upper.getArgNumber()};
}

LogicalResult Reader::readStart(linalg::GenericOp op, unsigned result) {
  Value init = op.getDpsInits()[result];
  bool isRead = !op.getRegionOutputArgs()[result].use_empty();
  model.startValues.push_back(nullptr);
  model.startAccesses.push_back(std::nullopt);
  if (!isRead)
    return success();
  if (auto fill = init.getDefiningOp<linalg::FillOp>()) {
    TypedAttr start;
    if (!matchPattern(fill.getInputs()[0], m_Constant(&start)))
      return error(fill) << "does not fill with a constant";
    model.startValues.back() = start;
    return success();
  }
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(result));
  FailureOr<Access> access = resolve(init, llvm::to_vector(map.getResults()));
  if (failed(access))
    return failure();
  model.startAccesses.back() = *access;
  return success();
}

/// True if the body is `acc + term`.
static bool isSumBody(linalg::GenericOp op) {
  if (op.getNumDpsInits() != 1 || op.getNumReductionLoops() == 0)
    return false;
  Value acc = op.getRegionOutputArgs()[0];
  Operation *last = op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  return last && isa<arith::AddFOp, arith::AddIOp>(last) && acc.hasOneUse() &&
         *acc.user_begin() == last;
}

/// True if all that a body does with `arg` is `arg - value`.
static bool isOffsetBy(BlockArgument arg, const APInt &value) {
  return llvm::all_of(arg.getUsers(), [&](Operation *user) {
    Value wide = arg;
    if (auto extend = dyn_cast<arith::ExtSIOp>(user)) {
      if (!extend->hasOneUse())
        return false;
      wide = extend.getResult();
      user = *extend->user_begin();
    }
    auto sub = dyn_cast<arith::SubIOp>(user);
    APInt subtracted;
    return sub && sub.getLhs() == wide && matchPattern(sub.getRhs(), m_ConstantInt(&subtracted)) &&
           subtracted == value.sext(subtracted.getBitWidth());
  });
}

/// The zero point z if `value` is int32 `arg - z`.
static std::optional<int64_t> zeroPointOf(Value value, BlockArgument arg) {
  APInt zero(32, 0);
  if (auto sub = value.getDefiningOp<arith::SubIOp>()) {
    if (!matchPattern(sub.getRhs(), m_ConstantInt(&zero)))
      return std::nullopt;
    value = sub.getLhs();
  }
  auto extend = value.getDefiningOp<arith::ExtSIOp>();
  if (!extend || extend.getIn() != arg || !arg.getType().isInteger(8))
    return std::nullopt;
  return zero.getSExtValue();
}

/// The zero points of a sum of products of int8, see `KernelModel::zeroPoints`.
static std::optional<std::array<int64_t, 2>> zeroPointsOf(linalg::GenericOp op) {
  Operation *last = op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  auto args = op.getRegionInputArgs();
  if (!isa<arith::AddIOp>(last) || args.size() < 2)
    return std::nullopt;
  for (Value term : last->getOperands())
    if (auto product = term.getDefiningOp<arith::MulIOp>()) {
      std::optional<int64_t> a = zeroPointOf(product.getLhs(), args[0]),
                             b = zeroPointOf(product.getRhs(), args[1]);
      if (a && b)
        return std::array<int64_t, 2>{*a, *b};
    }
  return std::nullopt;
}

/// The padding of a guarded read must not change the result: zero in a sum of products
/// or selections of it, minus infinity in a maximum, the zero point of stored integers.
static LogicalResult verifyPadding(linalg::GenericOp op, bool isSum) {
  for (OpOperand *operand : op.getDpsInputOperands()) {
    auto pad = operand->get().getDefiningOp<tensor::PadOp>();
    if (!pad)
      continue;
    Attribute value;
    if (!matchPattern(pad.getConstantPaddingValue(), m_Constant(&value)))
      return op.emitOpError() << "reads a padding that is not constant";
    if (auto real = dyn_cast<FloatAttr>(value)) {
      APFloat v = real.getValue();
      if (isSum ? v.isZero() : v.isInfinity() && v.isNegative())
        continue;
    } else if (auto integer = dyn_cast<IntegerAttr>(value)) {
      if (isSum ? integer.getValue().isZero() ||
                      isOffsetBy(op.getMatchingBlockArgument(operand), integer.getValue())
                : integer.getValue().isMinSignedValue())
        continue;
    }
    return op.emitOpError() << "reads a padding that would change its result";
  }
  return success();
}

LogicalResult Reader::readRoot(linalg::GenericOp op) {
  model.root = op;
  model.extents = op.getStaticLoopRanges();
  for (auto [d, type] : llvm::enumerate(op.getIteratorTypesArray()))
    (type == utils::IteratorType::parallel ? model.parallel : model.reductions).push_back(d);
  model.isSum = isSumBody(op);
  if (failed(verifyPadding(op, model.isSum)))
    return failure();
  for (OpOperand *operand : op.getDpsInputOperands()) {
    model.inputs.push_back(std::nullopt);
    if (op.getMatchingBlockArgument(operand).use_empty())
      continue;
    FailureOr<Access> access =
        resolve(operand->get(), llvm::to_vector(op.getMatchingIndexingMap(operand).getResults()));
    if (failed(access))
      return failure();
    model.inputs.back() = *access;
  }
  for (unsigned i = 0; i < op.getNumResults(); ++i) {
    if (failed(readStart(op, i)))
      return failure();
    AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(i));
    computed[op.getResult(i)] = {numComputed++, llvm::to_vector(map.getResults()), {}};
  }
  if (model.isSum) {
    if (auto start = dyn_cast_or_null<FloatAttr>(model.startValues[0]))
      model.isSum = start.getValue().isZero() && !op->hasAttr(kExact);
    else if (auto integer = dyn_cast_or_null<IntegerAttr>(model.startValues[0]))
      model.isSum = integer.getValue().isZero();
    else
      model.isSum = false;
  }
  if (model.isSum)
    model.zeroPoints = zeroPointsOf(op);
  return success();
}

LogicalResult Reader::readEpilogue(linalg::GenericOp op) {
  if (op.getNumReductionLoops() != 0)
    return error(op) << "reduces after the root op";
  EpilogueOp epilogue;
  epilogue.op = op;
  const Computed *source = nullptr;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    auto it = computed.find(operand->get());
    if (it != computed.end() && map.isIdentity() && !source)
      source = &it->second;
  }
  if (!source || !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity())
    return error(op) << "does not follow the root op element by element";
  epilogue.index = source->index;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    EpilogueOp::Input input;
    AffineMap map = op.getMatchingIndexingMap(operand);
    auto it = computed.find(operand->get());
    if (it != computed.end()) {
      if (!map.isIdentity())
        return error(op) << "reads another element of a value in registers";
      input.computed = it->second.number;
    } else if (!op.getMatchingBlockArgument(operand).use_empty()) {
      AffineMap composed = AffineMap::get(model.extents.size(), 0, source->index, op.getContext());
      FailureOr<Access> access =
          resolve(operand->get(), llvm::to_vector(map.compose(composed).getResults()));
      if (failed(access))
        return failure();
      if (!access->guards.empty())
        return error(op) << "reads a padded value after the root op";
      input.access = *access;
    }
    epilogue.inputs.push_back(input);
  }
  epilogue.firstResult = numComputed;
  SmallVector<Guard> guards = source->guards;
  Exprs index = source->index;
  for (Value result : op.getResults())
    computed[result] = {numComputed++, index, guards};
  model.epilogue.push_back(std::move(epilogue));
  return success();
}

LogicalResult Reader::readView(Operation *op) {
  if (op->getNumOperands() == 0 || !computed.contains(op->getOperand(0)))
    return success(); // read where it is used
  Computed source = computed[op->getOperand(0)];
  if (auto collapseOp = dyn_cast<tensor::CollapseShapeOp>(op)) {
    source.index = collapse(source.index, collapseOp.getReassociationIndices(),
                            collapseOp.getSrcType().getShape(), op->getContext());
  } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    Exprs index(expand.getResultType().getRank());
    for (auto [group, expr] : llvm::zip(expand.getReassociationIndices(), source.index)) {
      unsigned large = 0;
      for (int64_t d : group) {
        bool unit = expand.getResultType().getDimSize(d) == 1;
        large += !unit;
        index[d] = unit && (large || d != group.back()) ? getAffineConstantExpr(0, op->getContext())
                                                        : expr;
      }
      if (large > 1)
        return error(op) << "splits a dimension of a value in registers";
    }
    source.index = index;
  } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    for (auto [d, expr] : llvm::enumerate(source.index)) {
      if (slice.getStaticOffsets()[d] != 0 || slice.getStaticStrides()[d] != 1)
        return error(op) << "takes another slice than the leading one";
      if (slice.getStaticSizes()[d] != slice.getSourceType().getDimSize(d))
        source.guards.push_back({expr, slice.getStaticSizes()[d]});
    }
  } else if (auto insert = dyn_cast<tensor::InsertSliceOp>(op)) {
    // Into an operand that is updated in place: what is not stored stays.
    if (!isa<BlockArgument>(insert.getDest()))
      return error(op) << "writes to a tensor that is no operand";
    source.index = inWhole(insert, source.index);
  } else {
    return error(op) << "is not supported behind the root op";
  }
  computed[op->getResult(0)] = source;
  return success();
}

LogicalResult Reader::readYield(YieldOp yield) {
  if (!model.root)
    return kernel.emitOpError() << "holds no linalg op";
  for (auto [i, value] : llvm::enumerate(yield.getResults())) {
    auto it = computed.find(value);
    if (it == computed.end())
      return kernel.emitOpError() << "yields a value that it does not compute";
    unsigned operand = kernel.getInputs().size() + i;
    Access access{operand, it->second.index, it->second.guards, std::nullopt};
    model.stores.push_back({it->second.number, access});
  }
  return success();
}

void Reader::findBias() {
  if (!model.zeroPoints || model.epilogue.empty())
    return;
  EpilogueOp &first = model.epilogue.front();
  auto add = first.op.getBody()->getTerminator()->getOperand(0).getDefiningOp<arith::AddIOp>();
  bool isAddition = first.inputs.size() == 2 && add && first.op.getNumResults() == 1 &&
                    isa<BlockArgument>(add.getLhs()) && isa<BlockArgument>(add.getRhs()) &&
                    add.getLhs() != add.getRhs();
  auto readsSum = [](const EpilogueOp::Input &input) { return input.computed == 0u; };
  auto others = ArrayRef(model.epilogue).drop_front();
  if (!isAddition || llvm::count_if(first.inputs, readsSum) != 1 ||
      llvm::any_of(others, [&](auto &op) { return llvm::any_of(op.inputs, readsSum); }) ||
      llvm::any_of(model.stores, [](auto &store) { return store.computed == 0; }))
    return;
  for (const EpilogueOp::Input &input : first.inputs)
    if (input.access)
      model.bias = input.access;
}

FailureOr<KernelModel> KernelModel::get(KernelOp kernel) { return Reader(kernel).read(); }

std::optional<Linear> KernelModel::offsetOf(const Access &access) const {
  AffineExpr offset = getAffineConstantExpr(0, operandTypes.front().getContext());
  for (auto [expr, size] : llvm::zip_equal(access.index, operandTypes[access.operand].getShape()))
    offset = offset * size + expr;
  return Linear::get(offset, extents.size());
}

std::optional<Linear> Linear::get(AffineExpr expr, unsigned dims) {
  Linear result{SmallVector<int64_t>(dims, 0), 0};
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    result.constant = constant.getValue();
    return result;
  }
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    result.coefficients[dim.getPosition()] = 1;
    return result;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return std::nullopt;
  std::optional<Linear> lhs = get(binary.getLHS(), dims), rhs = get(binary.getRHS(), dims);
  if (!lhs || !rhs)
    return std::nullopt;
  if (expr.getKind() == AffineExprKind::Add) {
    for (unsigned d = 0; d < dims; ++d)
      lhs->coefficients[d] += rhs->coefficients[d];
    lhs->constant += rhs->constant;
    return lhs;
  }
  if (expr.getKind() == AffineExprKind::Mul && isa<AffineConstantExpr>(binary.getRHS())) {
    for (int64_t &c : lhs->coefficients)
      c *= rhs->constant;
    lhs->constant *= rhs->constant;
    return lhs;
  }
  return std::nullopt;
}
