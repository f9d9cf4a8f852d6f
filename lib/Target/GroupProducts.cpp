//===- GroupProducts.cpp - Sums of products of int8 in vectors -------------------===//
//
// A vector runs along output channels. Each of its lanes adds the products of a group of terms,
// neighbours in memory, which are broadcast; the weights lie as the vectors need them
// (`KernelModel::packed`). The terms are products of what is stored: a sum of the same
// weights times the zero point is subtracted at the end, with as many terms as a border leaves.
//
// With Helium a vector runs along the terms instead: VMLADAV adds all its products to one sum, in a
// scalar register. Where neither is at hand, a lane adds products of int16 one by one.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tinytrain;

static Value intrinsic(OpBuilder &b, Location loc, const Twine &name, Type type,
                       ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr("llvm." + name), arguments)
      .getResult(0);
}

/// Packed weights at a point: of each lane's output channel, a group of terms.
Value Emitter::loadWeights(ArrayRef<int64_t> offsets) {
  const Access &access = *model.inputs[1];
  Value buffer = operands[access.operand];
  auto type = cast<MemRefType>(buffer.getType());
  AffineExpr term = b.getAffineConstantExpr(0), first = access.index.front();
  for (auto [expr, size] :
       llvm::zip_equal(ArrayRef(access.index).drop_front(), type.getShape().drop_front()))
    term = term * size + expr;
  int64_t numTerms = type.getNumElements() / type.getDimSize(0);
  AffineExpr offset = at(first * numTerms + term * blocking.lanes, offsets);
  Value &cached = loaded[keyOf(buffer, offset)];
  if (!cached) {
    SmallVector<ReassociationIndices> all(1);
    llvm::append_range(all[0], llvm::seq<int64_t>(0, type.getRank()));
    Value flat =
        type.getRank() == 1 ? buffer : memref::CollapseShapeOp::create(b, loc, buffer, all);
    auto vectorType = VectorType::get({blocking.lanes * blocking.group}, type.getElementType());
    cached = vector::LoadOp::create(b, loc, vectorType, flat, expand(offset));
  }
  return cached;
}

/// A group of neighbours of the first input, the same in each lane.
Value Emitter::loadGroup(ArrayRef<int64_t> offsets) {
  auto [buffer, index] = placeOf(*model.inputs[0], offsets);
  Value &cached = loaded[keyOf(buffer, index)];
  if (cached)
    return cached;
  auto type = VectorType::get({blocking.group}, b.getI8Type());
  auto word = b.getIntegerType(8 * blocking.group);
  Value bytes = vector::LoadOp::create(b, loc, type, buffer, expand(index));
  bytes = vector::BitCastOp::create(b, loc, VectorType::get({1}, word), bytes);
  Value all = splat(vector::ExtractOp::create(b, loc, bytes, int64_t(0)));
  cached = vector::BitCastOp::create(
      b, loc, VectorType::get({blocking.lanes * blocking.group}, b.getI8Type()), all);
  // Adding 128 to a byte flips its sign.
  if (int64_t offset = byteOffset(blocking.byteProducts)) {
    auto bits = DenseElementsAttr::get(cast<VectorType>(cached.getType()),
                                       b.getI8IntegerAttr(int8_t(offset)));
    cached = arith::XOrIOp::create(b, loc, cached, arith::ConstantOp::create(b, loc, bits));
  }
  return cached;
}

/// The zero point of the first input as each product of what is stored meets it.
int64_t Emitter::zeroPointOfStored() const {
  return model.zeroPoints->at(0) + byteOffset(blocking.byteProducts);
}

Value Emitter::addProducts(Value sum, Value x, Value w) {
  Type type = sum.getType();
  std::string lanes = std::to_string(blocking.lanes), bytes = std::to_string(blocking.lanes * 4);
  switch (blocking.byteProducts) {
  case ByteProducts::VPDPBUSD:
    return intrinsic(b, loc, "x86.avx512.vpdpbusd." + Twine(blocking.lanes * 32), type,
                     {sum, x, w});
  case ByteProducts::SDOT:
    return intrinsic(b, loc, "aarch64.neon.sdot.v" + lanes + "i32.v" + bytes + "i8", type,
                     {sum, w, x});
  case ByteProducts::SMULL: {
    std::string halves = std::to_string(2 * blocking.lanes);
    Value products = intrinsic(b, loc, "aarch64.neon.smull.v" + halves + "i16",
                               VectorType::get({2 * blocking.lanes}, b.getI16Type()), {w, x});
    Value pairs = intrinsic(b, loc, "aarch64.neon.saddlp.v" + lanes + "i32.v" + halves + "i16",
                            type, products);
    return arith::AddIOp::create(b, loc, sum, pairs);
  }
  case ByteProducts::Plain:
  case ByteProducts::SMLAD:
  case ByteProducts::VMLADAV:
    break;
  }
  llvm_unreachable("the target adds no groups");
}

/// True for points that read the same weights.
bool Emitter::shareWeights(ArrayRef<int64_t> a, ArrayRef<int64_t> other) const {
  for (unsigned d = 0; d < dims; ++d)
    if (a[d] != other[d] &&
        llvm::any_of(model.inputs[1]->index, [=](AffineExpr e) { return e.isFunctionOfDim(d); }))
      return false;
  return true;
}

/// Of points that read the same weights, the first one.
SmallVector<SmallVector<int64_t>>
Emitter::weightVectors(ArrayRef<SmallVector<int64_t>> points) const {
  SmallVector<SmallVector<int64_t>> result;
  for (const SmallVector<int64_t> &point : points)
    if (llvm::none_of(result, [&](auto &other) { return shareWeights(point, other); }))
      result.push_back(point);
  return result;
}

/// The reduction of a tile. Behind the sums of its points it carries those of the weights times the
/// zero point.
SmallVector<Value> Emitter::emitSumOfStored(ArrayRef<SmallVector<int64_t>> points,
                                            Values accumulators) {
  SmallVector<SmallVector<int64_t>> vectors = weightVectors(points);
  if (zeroPointOfStored())
    accumulators.append(vectors.size(), constant(b.getI32IntegerAttr(0)));
  accumulators = emitReduction(0, points, std::move(accumulators));
  Values sums(llvm::drop_begin(accumulators, points.size()));
  accumulators.truncate(points.size());
  for (auto [vector, sum] : llvm::zip(vectors, sums))
    for (auto [point, accumulator] : llvm::zip_equal(points, accumulators))
      if (shareWeights(point, vector))
        accumulator = arith::SubIOp::create(b, loc, accumulator, sum);
  return accumulators;
}

SmallVector<Value> Emitter::emitGroups(ArrayRef<SmallVector<int64_t>> points, Values accumulators) {
  loaded.clear();
  for (auto [point, accumulator] : llvm::zip(points, accumulators)) {
    Value x = loadGroup(point), w = loadWeights(point);
    accumulator = addProducts(accumulator, x, w);
  }
  if (int64_t stored = zeroPointOfStored()) {
    auto type = VectorType::get({blocking.lanes * blocking.group}, b.getI8Type());
    Value zeroPoint = arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(type, b.getI8IntegerAttr(int8_t(stored))));
    auto sums = MutableArrayRef(accumulators).drop_front(points.size());
    for (auto [point, sum] : llvm::zip_equal(weightVectors(points), sums))
      sum = addProducts(sum, zeroPoint, loadWeights(point));
  }
  loaded.clear();
  return accumulators;
}

/// VMLADAV on sixteen bytes, whose zero point is subtracted from the sum, or on eight that are
/// widened as they are loaded, less the zero point.
SmallVector<Value> Emitter::emitVectorTerms(ArrayRef<SmallVector<int64_t>> points,
                                            Values accumulators, Unit unit) {
  bool isWhole = unit == Unit::Vector;
  int64_t count = isWhole ? kBytesPerVector : kBytesPerVector / 2;
  auto type = VectorType::get({count}, isWhole ? b.getI8Type() : b.getI16Type());
  std::map<std::pair<unsigned, const void *>, Value> vectors;
  auto splatOf = [&](int64_t value) {
    Attribute attr = b.getIntegerAttr(type.getElementType(), value);
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, attr));
  };
  auto load = [&](unsigned i, ArrayRef<int64_t> point) {
    AffineExpr distance = distanceTo(i, point);
    Value &vector = vectors[{i, distance.getAsOpaquePointer()}];
    if (!vector) {
      auto bytes = VectorType::get({count}, b.getI8Type());
      vector = LLVM::LoadOp::create(b, loc, bytes, pointerTo(anchor->inputs[i], distance),
                                    /*alignment=*/1);
      if (!isWhole)
        vector = arith::ExtSIOp::create(b, loc, type, vector);
      if (int64_t zeroPoint = (*model.zeroPoints)[i]; !isWhole && zeroPoint)
        vector = arith::SubIOp::create(b, loc, vector, splatOf(zeroPoint));
    }
    return vector;
  };
  auto add = [&](Value sum, Value x, Value w) {
    Value zero = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
    return intrinsic(b, loc, isWhole ? "arm.mve.vmldava.v16i8" : "arm.mve.vmldava.v8i16",
                     b.getI32Type(), {zero, zero, zero, sum, x, w});
  };
  for (auto [point, accumulator] : llvm::zip(points, accumulators)) {
    Value x = load(0, point), w = load(1, point);
    accumulator = add(accumulator, x, w);
  }
  if (int64_t stored = zeroPointOfStored(); isWhole && stored) {
    Value zeroPoint = splatOf(stored);
    auto sums = MutableArrayRef(accumulators).drop_front(points.size());
    for (auto [point, sum] : llvm::zip_equal(weightVectors(points), sums))
      sum = add(sum, zeroPoint, load(1, point));
  }
  return accumulators;
}

/// Single sums in the lanes of vectors, in the order of the vectors' points.
SmallVector<Value> Emitter::gatherLanes(ArrayRef<SmallVector<int64_t>> points,
                                        Values accumulators) {
  Values vectors;
  auto type = VectorType::get({blocking.lanes}, accumulators.front().getType());
  for (SmallVector<int64_t> &point : tilePoints(blocking.lanes)) {
    Values lanes;
    for (int64_t lane = 0; lane < blocking.lanes; ++lane, ++point[*blocking.vectorDim])
      lanes.push_back(accumulators[llvm::find(points, point) - points.begin()]);
    vectors.push_back(vector::FromElementsOp::create(b, loc, type, lanes));
  }
  return vectors;
}

/// Adds the products of two vectors of int8, less their zero points, as int16.
Value Emitter::emitHalvesTerm(ArrayRef<int64_t> point, Value sum) {
  auto type = VectorType::get({blocking.lanes}, b.getI16Type());
  Value factors[2];
  for (unsigned i : {0, 1}) {
    factors[i] = arith::ExtSIOp::create(b, loc, type, load(*model.inputs[i], point));
    if (int64_t zeroPoint = model.zeroPoints->at(i)) {
      auto attr = DenseElementsAttr::get(type, b.getIntegerAttr(b.getI16Type(), zeroPoint));
      factors[i] =
          arith::SubIOp::create(b, loc, factors[i], arith::ConstantOp::create(b, loc, type, attr));
    }
    factors[i] = arith::ExtSIOp::create(b, loc, sum.getType(), factors[i]);
  }
  Value product = arith::MulIOp::create(b, loc, factors[0], factors[1]);
  return arith::AddIOp::create(b, loc, sum, product);
}
