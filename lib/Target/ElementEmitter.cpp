//===- ElementEmitter.cpp - Loads, bodies and stores of a kernel -----------------===//

#include "lib/Target/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tinytrain;

static VectorType vectorOf(Type element, int64_t lanes) {
  return VectorType::get({lanes}, element);
}

Value Emitter::splat(Value scalar) {
  return vector::BroadcastOp::create(b, loc, vectorOf(scalar.getType(), blocking.lanes), scalar);
}

Value Emitter::constant(TypedAttr value) {
  if (!vectorMode)
    return arith::ConstantOp::create(b, loc, value);
  auto type = vectorOf(value.getType(), blocking.lanes);
  return arith::ConstantOp::create(b, loc, type, DenseElementsAttr::get(type, value));
}

/// True if an access runs along the vector; then `contiguous` says whether in unit steps.
bool Emitter::variesAlongLanes(ArrayRef<AffineExpr> index, bool &contiguous) const {
  bool varies = false;
  contiguous = false;
  for (auto [i, expr] : llvm::enumerate(index)) {
    // The dimension may have no loop and stand at a constant.
    std::optional<Linear> e = linearOrNone(expr, blocking.vectorDim);
    int64_t c =
        e ? e->coefficients[*blocking.vectorDim] : 2 * expr.isFunctionOfDim(*blocking.vectorDim);
    if (!c)
      continue;
    contiguous = !varies && c == 1 && i + 1 == index.size();
    varies = true;
  }
  return varies;
}

std::pair<Value, SmallVector<AffineExpr>> Emitter::placeOf(const Access &access,
                                                           ArrayRef<int64_t> offsets) const {
  bool isUpper = inUpper && access.upper;
  SmallVector<AffineExpr> index;
  for (AffineExpr expr : access.index)
    index.push_back(at(expr, offsets));
  if (isUpper)
    index.back() = index.back() - model.join->at;
  return {operands[isUpper ? *access.upper : access.operand], index};
}

Emitter::Place Emitter::keyOf(Value buffer, ArrayRef<AffineExpr> index) {
  Place key{buffer.getAsOpaquePointer(), {}};
  for (AffineExpr expr : index)
    key.second.push_back(expr.getAsOpaquePointer());
  return key;
}

Value Emitter::load(const Access &access, ArrayRef<int64_t> offsets) {
  if (model.packed && &access == &*model.inputs[1])
    return loadWeights(offsets);
  auto [buffer, index] = placeOf(access, offsets);
  Place key = keyOf(buffer, index);
  if (auto it = weights.find(key); it != weights.end())
    return it->second;
  Value &cached = loaded[key];
  if (cached)
    return cached;

  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  if (Value pointer = pointerToOther(access, offsets)) {
    cached = LLVM::LoadOp::create(b, loc, element, pointer);
    return cached;
  }
  bool contiguous = false;
  if (!vectorMode || !variesAlongLanes(access.index, contiguous)) {
    cached = memref::LoadOp::create(b, loc, buffer, expand(index));
    if (vectorMode)
      cached = splat(cached);
    return cached;
  }
  VectorType type = vectorOf(element, blocking.lanes);
  if (contiguous) {
    cached = vector::LoadOp::create(b, loc, type, buffer, expand(index));
    return cached;
  }
  Values lanes;
  SmallVector<int64_t> shifted(offsets);
  for (int64_t lane = 0; lane < blocking.lanes; ++lane) {
    shifted[*blocking.vectorDim] = offsets[*blocking.vectorDim] + lane;
    lanes.push_back(
        memref::LoadOp::create(b, loc, buffer, expand(placeOf(access, shifted).second)));
  }
  cached = vector::FromElementsOp::create(b, loc, type, lanes);
  return cached;
}

void Emitter::store(Value value, const Access &access, ArrayRef<int64_t> offsets) {
  if (Value pointer = pointerToOther(access, offsets)) {
    LLVM::StoreOp::create(b, loc, value, pointer);
    return;
  }
  Value buffer = operands[access.operand];
  auto indexAt = [&](ArrayRef<int64_t> o) {
    SmallVector<AffineExpr> index;
    for (AffineExpr expr : access.index)
      index.push_back(at(expr, o));
    return expand(index);
  };
  bool contiguous = false;
  if (!vectorMode || !variesAlongLanes(access.index, contiguous)) {
    memref::StoreOp::create(b, loc, value, buffer, indexAt(offsets));
    return;
  }
  if (contiguous) {
    vector::StoreOp::create(b, loc, value, buffer, indexAt(offsets));
    return;
  }
  SmallVector<int64_t> shifted(offsets);
  for (int64_t lane = 0; lane < blocking.lanes; ++lane) {
    shifted[*blocking.vectorDim] = offsets[*blocking.vectorDim] + lane;
    Value scalar = vector::ExtractOp::create(b, loc, value, lane);
    memref::StoreOp::create(b, loc, scalar, buffer, indexAt(shifted));
  }
}

/// One element, or one vector, of an op's body.
SmallVector<Value> Emitter::emitBody(linalg::GenericOp op, IRMapping &map,
                                     ArrayRef<AffineExpr> index, ArrayRef<int64_t> offsets) {
  auto valueOf = [&](Value value) -> Value {
    if (Value mapped = map.lookupOrNull(value))
      return mapped;
    // A constant outside the body.
    auto outside = value.getDefiningOp<arith::ConstantOp>();
    assert(outside && "a body reads its arguments and constants only");
    return constant(outside.getValue());
  };
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (auto indexOp = dyn_cast<linalg::IndexOp>(inner)) {
      AffineExpr expr = index[indexOp.getDim()];
      Value value = expand(at(expr, offsets));
      if (vectorMode) {
        value = splat(value);
        // Along the lanes the index moves by the expression's coefficient.
        int64_t step = linear(expr, blocking.vectorDim).coefficients[*blocking.vectorDim];
        if (step) {
          auto type = vectorOf(b.getIndexType(), blocking.lanes);
          auto steps = DenseElementsAttr::get(
              type, llvm::map_to_vector(llvm::seq<int64_t>(0, blocking.lanes),
                                        [&](int64_t lane) { return APInt(64, lane * step); }));
          value =
              arith::AddIOp::create(b, loc, value, arith::ConstantOp::create(b, loc, type, steps));
        }
      }
      map.map(indexOp.getResult(), value);
      continue;
    }
    if (auto constantOp = dyn_cast<arith::ConstantOp>(inner)) {
      map.map(constantOp.getResult(), constant(constantOp.getValue()));
      continue;
    }
    for (Value operand : inner.getOperands())
      if (!map.contains(operand))
        map.map(operand, valueOf(operand));
    Operation *clone = b.clone(inner, map);
    for (OpResult result : clone->getResults()) {
      if (vectorMode)
        result.setType(vectorOf(result.getType(), blocking.lanes));
      map.map(inner.getResult(result.getResultNumber()), result);
    }
    if (isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(clone) && !op->hasAttr(kExact))
      clone->setAttr("fastmath",
                     arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::contract));
  }
  Values results;
  for (Value value : op.getBody()->getTerminator()->getOperands())
    results.push_back(valueOf(value));
  return results;
}
