//===- LowerRowPipeline.cpp - The loops of a row pipeline ------------------------===//
//
// In each turn every line buffer moves up by as many lines as are new, and each stage computes
// its new rows, the first stage first. Rows outside an image are filled with what stands for
// zero.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/LowerRowPipeline.h"

#include "lib/Target/RowPipeline.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace tinytrain;

namespace {

class Lowering {
public:
  Lowering(KernelOp kernel, func::FuncOp function)
      : kernel(kernel), pipeline(RowPipeline::get(kernel)), function(function),
        b(function.getContext()), loc(kernel.getLoc()) {}

  void run();

private:
  using Stage = RowPipeline::Stage;

  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value add(Value lhs, Value rhs) { return arith::AddIOp::create(b, loc, lhs, rhs); }
  /// `value * factor + offset`
  Value affine(Value value, int64_t factor, int64_t offset) {
    return add(arith::MulIOp::create(b, loc, value, index(factor)), index(offset));
  }
  void loop(int64_t low, int64_t high, function_ref<void(Value)> body) {
    auto op = scf::ForOp::create(b, loc, index(low), index(high), index(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(op.getBody());
    body(op.getInductionVar());
  }

  Value flat(Value buffer);
  Value view(Value bytes, Value offset, Type tensor);
  Value rowOffset(Value image, Value batch, Value row);
  Value line(Stage &stage, Value number);
  void fill(Value bytes, Value from, int64_t count, int64_t value);
  void copy(Value source, Value from, Value target, Value to, int64_t count);

  Value argumentOf(Value operand) {
    return function.getArgument(cast<BlockArgument>(operand).getArgNumber());
  }
  Value result() { return function.getArgument(kernel.getInputs().size()); }
  Value lineBuffers() { return function.getArgument(kernel.getInputs().size() + 1); }

  void emitTurn(Value turn, Value batch);
  void emitSource(Stage &first, Value turn, Value batch);
  void emitRow(unsigned number, Value turn, Value inTurn, Value batch);
  void emitKernel(unsigned number, Value row, Value inTurn, Value output, Value batch);
  void setOverlap();

  KernelOp kernel;
  RowPipeline pipeline;
  func::FuncOp function;
  OpBuilder b;
  Location loc;
};

} // namespace

static MemRefType typeOf(Value value) { return cast<MemRefType>(value.getType()); }

/// A buffer of bytes without dimensions.
Value Lowering::flat(Value buffer) {
  if (typeOf(buffer).getRank() == 1)
    return buffer;
  SmallVector<ReassociationIndices> all(1);
  llvm::append_range(all[0], llvm::seq<int64_t>(0, typeOf(buffer).getRank()));
  return memref::CollapseShapeOp::create(b, loc, buffer, all);
}

Value Lowering::view(Value bytes, Value offset, Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return memref::ViewOp::create(b, loc, MemRefType::get(type.getShape(), type.getElementType()),
                                bytes, offset, ValueRange());
}

/// Where a row of an image in a batch starts.
Value Lowering::rowOffset(Value image, Value batch, Value row) {
  MemRefType type = typeOf(image);
  int64_t rowBytes = type.getDimSize(2) * type.getDimSize(3);
  Value rows = add(affine(batch, type.getDimSize(1), 0), row);
  return affine(rows, rowBytes, 0);
}

/// Where a line of a stage's buffer starts.
Value Lowering::line(Stage &stage, Value number) {
  return affine(number, stage.lineBytes, stage.offset);
}

void Lowering::fill(Value bytes, Value from, int64_t count, int64_t value) {
  Value constant = arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(value));
  loop(0, count, [&](Value i) {
    memref::StoreOp::create(b, loc, constant, bytes, ValueRange{add(from, i)});
  });
}

/// Bytes in ascending order: the target may overlap the source from below.
void Lowering::copy(Value source, Value from, Value target, Value to, int64_t count) {
  loop(0, count, [&](Value i) {
    Value byte = memref::LoadOp::create(b, loc, source, ValueRange{add(from, i)});
    memref::StoreOp::create(b, loc, byte, target, ValueRange{add(to, i)});
  });
}

void Lowering::run() {
  b.setInsertionPointToStart(&function.getBody().front());
  loop(0, typeOf(result()).getDimSize(0), [&](Value batch) {
    // Rows above an image.
    for (Stage &stage : pipeline.stages)
      fill(lineBuffers(), index(stage.offset), stage.lines * stage.lineBytes,
           stage.window.getFill());
    loop(0, pipeline.turns, [&](Value turn) { emitTurn(turn, batch); });
  });
  func::ReturnOp::create(b, loc);
  setOverlap();
}

void Lowering::emitTurn(Value turn, Value batch) {
  for (Stage &stage : pipeline.stages)
    copy(lineBuffers(), line(stage, index(stage.newLines)), lineBuffers(), line(stage, index(0)),
         (stage.lines - stage.newLines) * stage.lineBytes);
  if (pipeline.stages.front().lines)
    emitSource(pipeline.stages.front(), turn, batch);
  for (unsigned i = 0; i < pipeline.stages.size(); ++i) {
    Stage &stage = pipeline.stages[i];
    loop(0, stage.rowsPerTurn, [&](Value inTurn) { emitRow(i, turn, inTurn, batch); });
  }
}

/// Fetches the new rows of the pipeline's input.
void Lowering::emitSource(Stage &first, Value turn, Value batch) {
  Value image = argumentOf(first.window.getInput());
  loop(0, first.newLines, [&](Value inTurn) {
    Value row = add(affine(turn, first.newLines, 0), inTurn);
    Value isInside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, row,
                                           index(typeOf(image).getDimSize(1)));
    Value to = line(first, affine(inTurn, 1, first.lines - first.newLines));
    auto branch = scf::IfOp::create(b, loc, isInside, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    copy(flat(image), rowOffset(image, batch, row), lineBuffers(), to, first.lineBytes);
    b.setInsertionPointToStart(branch.elseBlock());
    fill(lineBuffers(), to, first.lineBytes, first.window.getFill());
  });
}

void Lowering::emitRow(unsigned number, Value turn, Value inTurn, Value batch) {
  Stage &stage = pipeline.stages[number];
  bool isLast = number + 1 == pipeline.stages.size();
  Value row = add(affine(turn, stage.rowsPerTurn, -stage.delay), inTurn);
  // Negative rows are large without a sign.
  Value isInside =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, row, index(stage.height));
  auto branch = scf::IfOp::create(b, loc, isInside, /*withElseRegion=*/!isLast);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  if (isLast) {
    emitKernel(
        number, row, inTurn,
        view(flat(result()), rowOffset(result(), batch, row), stage.kernel.getResult(0).getType()),
        batch);
    return;
  }
  Stage &next = pipeline.stages[number + 1];
  auto to = [&] { return line(next, affine(inTurn, 1, next.lines - next.newLines)); };
  emitKernel(number, row, inTurn, view(lineBuffers(), to(), stage.kernel.getResult(0).getType()),
             batch);
  b.setInsertionPointToStart(branch.elseBlock());
  fill(lineBuffers(), to(), next.lineBytes, next.window.getFill());
}

/// The stage's kernel for `row` of its result, on memrefs.
void Lowering::emitKernel(unsigned number, Value row, Value inTurn, Value output, Value batch) {
  Stage &stage = pipeline.stages[number];
  KernelOp described = stage.kernel;
  SmallVector<Value> inputs;
  for (Value input : described.getInputs()) {
    auto window = input.getDefiningOp<RowWindowOp>();
    if (!window) {
      inputs.push_back(argumentOf(input));
    } else if (window == stage.window && stage.lines) {
      Value first = affine(inTurn, window.getStep(), stage.firstLine);
      inputs.push_back(view(lineBuffers(), line(stage, first), window.getType()));
    } else {
      Value image = argumentOf(window.getInput());
      Value first = affine(row, window.getStep(), window.getOffset());
      inputs.push_back(view(flat(image), rowOffset(image, batch, first), window.getType()));
    }
  }
  auto lowered = KernelOp::create(b, described.getLoc(), TypeRange(), inputs, ValueRange{output},
                                  described.getLabelAttr(), described.getMacsAttr());
  for (StringRef layout : kLayouts)
    if (Attribute attr = described->getAttr(layout))
      lowered->setAttr(layout, attr);
  IRMapping map;
  described.getBody().cloneInto(&lowered.getBody(), map);
  lowered.getKernelBlock()->addArgument(described.getResult(0).getType(), loc);
}

/// The result may lie over rows of the input that are no longer needed, and over the row at hand
/// nowhere.
void Lowering::setOverlap() {
  Value image = argumentOf(pipeline.stages.front().window.getInput());
  if (typeOf(result()).getDimSize(0) != 1 || !image.hasOneUse())
    return;
  Stage &first = pipeline.stages.front(), &last = pipeline.stages.back();
  int64_t read = first.lines ? first.newLines : first.rowsPerTurn * first.window.getStep();
  int64_t imageRow = bytesOf(image) / typeOf(image).getDimSize(1);
  int64_t resultRow = bytesOf(result()) / last.height;
  int64_t below = std::numeric_limits<int64_t>::max();
  for (int64_t row = 0; row < last.height; ++row)
    below = std::min(below, std::min(read * (row + last.delay + 1), typeOf(image).getDimSize(1)) *
                                    imageRow -
                                (row + 1) * resultRow);
  if (below > -bytesOf(result()))
    function->setAttr(kOverlaps,
                      b.getArrayAttr({b.getDenseI64ArrayAttr(
                          {int64_t(cast<BlockArgument>(image).getArgNumber()),
                           int64_t(kernel.getInputs().size()), below, bytesOf(image)})}));
}

func::FuncOp tinytrain::lowerRowPipeline(ModuleOp module, KernelOp kernel, StringRef name) {
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  auto function = func::FuncOp::create(b, kernel.getLoc(), name,
                                       b.getFunctionType(kernel->getOperandTypes(), {}));
  function.setPrivate();
  function->setAttr("tinytrain.kernel", b.getUnitAttr());
  function.addEntryBlock();
  Lowering(kernel, function).run();
  return function;
}
