//===- Pipelines.cpp - One pipeline per stage ------------------------------------===//

#include "lib/Pipelines.h"

#include "lib/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include "llvm/Support/ErrorHandling.h"

using namespace mlir;
using namespace tinytrain;

namespace {

struct TrainingGraphOptions : PassPipelineOptions<TrainingGraphOptions> {
  Option<std::string> loss{*this, "loss", llvm::cl::desc("cross_entropy or mse"),
                           llvm::cl::init("cross_entropy")};
  Option<bool> keepPrediction{*this, "keep-prediction",
                              llvm::cl::desc("keep the prediction as a result"),
                              llvm::cl::init(true)};
  Option<double> momentum{*this, "momentum", llvm::cl::desc("momentum factor"),
                          llvm::cl::init(0.0)};
  Option<double> weightDecay{*this, "weight-decay", llvm::cl::desc("L2 penalty"),
                             llvm::cl::init(0.0)};
  Option<bool> updatesLast{*this, "updates-last",
                           llvm::cl::desc("update all parameters at the end"),
                           llvm::cl::init(false)};
  Option<bool> intGradients{*this, "int-gradients",
                            llvm::cl::desc("int8 gradients of quantized activations"),
                            llvm::cl::init(false)};
  Option<std::string> master{*this, "master",
                             llvm::cl::desc("master copy of trained int8 parameters: none, f32 "
                                            "or i16"),
                             llvm::cl::init("")};
  Option<bool> qas{*this, "qas", llvm::cl::desc("quantization-aware scaling"),
                   llvm::cl::init(true)};
  Option<bool> masks{*this, "masks",
                     llvm::cl::desc("keep one bit per element for the adjoint of a clamp"),
                     llvm::cl::init(true)};
};

struct KernelGraphOptions : PassPipelineOptions<KernelGraphOptions> {
  Option<bool> exact{*this, "exact",
                     llvm::cl::desc("keep the order of all floating-point operations"),
                     llvm::cl::init(false)};
  Option<bool> fuse{*this, "fuse", llvm::cl::desc("form kernels of several ops"),
                    llvm::cl::init(true)};
  Option<bool> detach{*this, "detach", llvm::cl::desc("keep the frozen part of a parameter apart"),
                      llvm::cl::init(true)};
  Option<bool> split{*this, "split", llvm::cl::desc("cut expansions into groups of channels"),
                     llvm::cl::init(true)};
  Option<bool> rows{*this, "rows", llvm::cl::desc("run chains of convolutions row by row"),
                    llvm::cl::init(true)};
  Option<bool> reorder{*this, "reorder", llvm::cl::desc("schedule for the smallest peak"),
                       llvm::cl::init(true)};
  Option<bool> inPlace{*this, "in-place", llvm::cl::desc("let results take over dying operands"),
                       llvm::cl::init(true)};
};

struct CodegenOptions : PassPipelineOptions<CodegenOptions> {
  Option<std::string> target{*this, "target", llvm::cl::desc("name of the target"),
                             llvm::cl::init("host")};
  Option<unsigned> threads{
      *this, "threads", llvm::cl::desc("number of threads that share the work"), llvm::cl::init(1)};
  Option<bool> ownInput{*this, "own-input", llvm::cl::desc("copy the input into the arena"),
                        llvm::cl::init(false)};
  Option<bool> overlap{*this, "overlap", llvm::cl::desc("let results overlap dying operands"),
                       llvm::cl::init(true)};
};

struct ToLLVMOptions : PassPipelineOptions<ToLLVMOptions> {
  Option<unsigned> indexBits{*this, "index-bits", llvm::cl::desc("bits of a pointer"),
                             llvm::cl::init(64)};
};

/// Appends passes given as text; the text is ours, so that it parses.
void append(OpPassManager &pm, const std::string &text) {
  std::string message;
  llvm::raw_string_ostream os(message);
  if (failed(parsePassPipeline(text, pm, os)))
    llvm::report_fatal_error(llvm::StringRef(message));
}

/// Forward graph -> forward, loss, backward and update in one graph.
void buildTrainingGraph(OpPassManager &pm, const TrainingGraphOptions &options) {
  OpPassManager &func = pm.nest<func::FuncOp>();
  // 1. The loss becomes result 0.
  func.addPass(createAppendLoss({options.loss, options.keepPrediction}));
  // 2. Merged clamps and reshapes need one derivative instead of two.
  func.addPass(createCanonicalizerPass());
  // 3. Every gradient, needed or not.
  func.addPass(createAutodiff());
  // 4. Of partly trained parameters, only that part.
  func.addPass(createSliceSparseUpdates());
  // 5. Gradients of frozen parameters go, and all that only they needed.
  func.addPass(createEliminateDeadGradients());
  // 6. One bit per element where a clamp's adjoint needs no more; gradients of one byte.
  if (options.masks)
    func.addPass(createPackClampMasks());
  if (options.intGradients)
    func.addPass(createQuantizeGradients());
  // 7. Steps of stored integers like those of the real values.
  if (options.qas)
    func.addPass(createApplyQAS());
  // 8. The gradients that are left become updates.
  ApplyOptimizerOptions optimizer;
  optimizer.master = options.master;
  optimizer.momentum = options.momentum;
  optimizer.weightDecay = options.weightDecay;
  optimizer.updatesLast = options.updatesLast;
  func.addPass(createApplyOptimizer(optimizer));
  // 9. Twice the same subexpression, identity scales.
  func.addPass(createCanonicalizerPass());
  func.addPass(createCSEPass());
}

/// Graph -> kernels of linalg on tensors, each with its destination.
void buildKernelGraph(OpPassManager &pm, const KernelGraphOptions &options) {
  // 1. The frozen part of a partly trained parameter is a constant.
  if (options.detach)
    pm.addPass(createDetachFrozenParts());
  // 2. What runs as one loop nest.
  pm.addNestedPass<func::FuncOp>(createFuseOps({options.fuse}));
  // 3. No expansion as a whole where nothing else is as large.
  if (options.rows)
    pm.addPass(createStreamRows());
  OpPassManager &func = pm.nest<func::FuncOp>();
  if (options.split)
    func.addPass(createSplitChannels());
  // 4. Structured ops, inside kernels and outside.
  func.addPass(createConvertTinyTrainToLinalg({options.exact}));
  func.addPass(createCSEPass());
  // 5. What is still outside gets a kernel of its own.
  func.addPass(createFormKernels());
  // 6. The order of least peak memory.
  ReorderOpsOptions reorder;
  reorder.inPlace = options.inPlace;
  if (options.reorder)
    func.addPass(createReorderOps(reorder));
  // 7. In place where that is legal.
  func.addPass(createAssignDestinations({options.inPlace}));
}

/// Tensors -> memrefs; updates are in place or the pipeline fails.
void buildBufferize(OpPassManager &pm) {
  // 1. The graph; kernels keep describing tensors.
  pm.addPass(createBufferizeGraph());
  // 2. No parameter is copied.
  pm.nest<func::FuncOp>().addPass(createVerifyInPlaceUpdates());
  // 3. The other results are written to the caller's buffers.
  append(pm, "buffer-results-to-out-params{hoist-static-allocs modify-public-functions}");
  // No canonicalizer before the kernels are lowered: it would take them apart.
  pm.addPass(createCSEPass());
}

/// Kernels -> loop nests, buffers -> one arena.
void buildCodegen(OpPassManager &pm, const CodegenOptions &options) {
  pm.addPass(createPackFrozenWeights({options.target}));
  pm.addPass(createFoldZeroPoints({options.target}));
  pm.addPass(createLowerRowPipelines());
  if (options.ownInput)
    pm.addNestedPass<func::FuncOp>(createOwnInput());
  ChooseOrdersOptions orders;
  orders.target = options.target;
  orders.overlap = options.overlap;
  pm.addPass(createChooseOrders(orders));
  pm.addPass(createLowerKernels({options.target, options.threads}));
  PlanMemoryOptions plan;
  plan.overlap = options.overlap;
  pm.addPass(createPlanMemory(plan));
  pm.addPass(createExpandMath({options.target}));
  append(pm, "canonicalize,cse");
  pm.addPass(createSelectInstructions({options.target}));
}

/// Everything -> the LLVM dialect.
void buildToLLVM(OpPassManager &pm, const ToLLVMOptions &options) {
  std::string bits = "index-bitwidth=" + std::to_string(options.indexBits);
  append(pm, "arith-expand,convert-scf-to-cf,expand-strided-metadata,lower-affine,"
             "tinytrain-vector-to-llvm{index-bits=" +
                 std::to_string(options.indexBits) +
                 "},"
                 "convert-math-to-llvm,"
                 "convert-arith-to-llvm{" +
                 bits + "},convert-cf-to-llvm{" + bits +
                 "},"
                 "finalize-memref-to-llvm{" +
                 bits +
                 "},"
                 "convert-func-to-llvm{use-bare-ptr-memref-call-conv " +
                 bits +
                 "},"
                 "reconcile-unrealized-casts,canonicalize,cse");
}

} // namespace

void tinytrain::registerTinyTrainPipelines() {
  PassPipelineRegistration<TrainingGraphOptions>(
      "tinytrain-training-graph", "Forward graph to forward, loss, backward and update",
      buildTrainingGraph);
  PassPipelineRegistration<KernelGraphOptions>(
      "tinytrain-form-kernel-graph", "Graph to kernels of linalg on tensors", buildKernelGraph);
  PassPipelineRegistration<>("tinytrain-bufferize", "Kernels on tensors to kernels on memrefs",
                             buildBufferize);
  PassPipelineRegistration<CodegenOptions>(
      "tinytrain-codegen", "Kernels to loop nests, buffers to one arena", buildCodegen);
  PassPipelineRegistration<ToLLVMOptions>("tinytrain-to-llvm", "Everything to the LLVM dialect",
                                          buildToLLVM);
}
