//===- Passes.td - All passes, grouped by phase ------------------*- tablegen -*-===//

#ifndef TINYTRAIN_PASSES_TD
#define TINYTRAIN_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// The training graph
//===----------------------------------------------------------------------===//

def QuantizeInt8 : Pass<"tinytrain-quantize-int8", "::mlir::func::FuncOp"> {
  let summary = "Turns ops between dequantize and quantize into int8 ops";
  let description = [{
    A graph with `tinytrain.quantize` and `tinytrain.dequantize` around its ops says where real
    numbers are rounded to integers: calibration writes such graphs, PyTorch's quantization flow
    exports them. Here their arithmetic becomes that of the integers: a convolution of dequantized
    operands with its bias and activation becomes int32 sums and a requantization; sums, poolings
    and concatenations take quantized operands; ops that only move elements run before the
    dequantization. A ReLU or clamp disappears where the range of its quantized result implies
    it. The input, and parameters that are only read quantized, become arguments of stored
    integers; a bias becomes int32 at the scale of the sums it is added to.
  }];
  let statistics = [Statistic<"numInteger", "integer-ops", "Ops on stored integers formed">];
}

def AppendLoss : Pass<"tinytrain-append-loss", "::mlir::func::FuncOp"> {
  let summary = "Appends a loss to a forward graph";
  let description = [{
    Adds a label argument and a scalar loss, which becomes result 0, to a
    function whose only result is the prediction.

    ```mlir
    // before
    func.func @step(%x: tensor<1x10xf32>) -> tensor<1x10xf32>
    // after, loss=cross_entropy
    func.func @step(%x: tensor<1x10xf32>, %label: tensor<1xi32> {tinytrain.label})
        -> (tensor<f32> {tinytrain.loss}, tensor<1x10xf32>)
    ```
  }];
  let options = [
    Option<"loss", "loss", "std::string", "\"cross_entropy\"", "cross_entropy or mse">,
    Option<"keepPrediction", "keep-prediction", "bool", "true",
           "keep the prediction as a result">,
  ];
  let dependentDialects = ["::tinytrain::TinyTrainDialect"];
}

def Autodiff : Pass<"tinytrain-autodiff", "::mlir::func::FuncOp"> {
  let summary = "Reverse-mode differentiation of a graph";
  let description = [{
    Appends, as a result marked `tinytrain.gradient_of`, the gradient of every
    argument that carries `tinytrain.needs_grad`, whatever its value: what is
    not needed is removed by `tinytrain-eliminate-dead-gradients`. The walk
    starts from the result marked `tinytrain.loss` and from the arguments
    marked `tinytrain.cotangent`; contributions to one value are summed.

    ```mlir
    // before
    func.func @f(%x: tensor<4x8xf32> {tinytrain.needs_grad = true}, %g: tensor<4x8xf32> {tinytrain.cotangent = 0})
        -> tensor<4x8xf32> {
      %y = tinytrain.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
      return %y : tensor<4x8xf32>
    }
    // after
      %y = tinytrain.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
      %dx = tinytrain.clamp_grad %g, %y {max = 0x7F800000 : f32, min = 0.0 : f32} : ...
      return %y, %dx : tensor<4x8xf32>, tensor<4x8xf32>
    ```
  }];
  let statistics = [
    Statistic<"numRules", "rules-applied", "Number of VJP rules applied">,
    Statistic<"numSums", "sums", "Number of sums of contributions">,
  ];
  let dependentDialects = ["::tinytrain::TinyTrainDialect"];
}

def SliceSparseUpdates : Pass<"tinytrain-slice-sparse-updates", "::mlir::func::FuncOp"> {
  let summary = "Computes only the part of a gradient that is used";
  let description = [{
    For an argument whose `tinytrain.needs_grad` is a fraction r, or the channels 0 to
    k - 1, the gradient is computed for the first k of the last dimension only (k =
    round(r * size), at least 1). What that needs of an activation is sliced
    off where the activation is produced, so that the rest of it dies.

    ```mlir
    // before: %w is tensor<20x10xf32> {tinytrain.needs_grad = 5.000000e-01 : f32}
    %dw = tinytrain.matmul %gt, %x : (tensor<20x10xf32>, tensor<10x10xf32>) -> tensor<20x10xf32>
    // after
    %kept = tinytrain.slice %x {offsets = array<i64: 0, 0>, sizes = array<i64: 10, 5>, strides = array<i64: 1, 1>} : ...
    %dw = tinytrain.matmul %gt, %kept : (tensor<20x10xf32>, tensor<10x5xf32>) -> tensor<20x5xf32>
    ```
  }];
  let statistics = [
    Statistic<"numSliced", "gradients-sliced", "Number of gradients sliced">,
    Statistic<"numBytes", "bytes-removed", "Bytes of gradients no longer computed">,
  ];
  let dependentDialects = ["::tinytrain::TinyTrainDialect"];
}

def EliminateDeadGradients
    : Pass<"tinytrain-eliminate-dead-gradients", "::mlir::func::FuncOp"> {
  let summary = "Removes the gradients of frozen arguments and all that only they needed";
  let description = [{
    Drops every `tinytrain.gradient_of` result whose argument has
    `tinytrain.needs_grad = false`, then every op that no result depends on
    any more.
  }];
  let statistics = [
    Statistic<"numGradients", "gradients-removed", "Number of gradients removed">,
    Statistic<"numOps", "ops-removed", "Number of ops removed">,
    Statistic<"numBytes", "bytes-removed", "Bytes of tensors no longer computed">,
    Statistic<"numMACs", "macs-removed", "Multiply-accumulates no longer computed">,
  ];
}

def PackClampMasks : Pass<"tinytrain-pack-clamp-masks", "::mlir::func::FuncOp"> {
  let summary = "Keeps one bit per element where only a clamp's adjoint needs an activation";
  let description = [{
    The adjoint of a relu or clamp asks whether each element lies inside the interval. Where
    nothing else in the backward pass reads that activation, the answers are packed into bits
    as soon as it exists, and it dies.

    ```mlir
    // before: nothing behind the forward pass reads %y but
    %dx = tinytrain.clamp_grad %g, %y {min = 0.0 : f32, max = 6.0 : f32} : (tensor<1x8x8x16xf32>, ...) -> ...
    // after
    %pixels = tinytrain.reshape %y : (tensor<1x8x8x16xf32>) -> tensor<64x16xf32>
    %bits = tinytrain.clamp_mask %pixels {min = 0.0 : f32, max = 6.0 : f32} : (tensor<64x16xf32>) -> tensor<8x16xi8>
    ...
    %dx = tinytrain.mask_grad %g, %bits : (tensor<1x8x8x16xf32>, tensor<8x16xi8>) -> tensor<1x8x8x16xf32>
    ```
  }];
  let statistics = [
    Statistic<"numMasks", "masks", "Number of masks">,
    Statistic<"numBytes", "bytes-removed", "Bytes of activations no longer kept, less the masks">,
  ];
  let dependentDialects = ["::tinytrain::TinyTrainDialect"];
}

def QuantizeGradients : Pass<"tinytrain-quantize-gradients", "::mlir::func::FuncOp"> {
  let summary = "Makes the backward pass of quantized convolutions one of integers";
  let description = [{
    The gradient that enters the adjoints of a quantized convolution becomes int8 at a scale found
    at run time from its largest magnitude; the adjoints' sums are int32, and real numbers again
    at that scale.
  }];
  let statistics = [Statistic<"numQuantized", "quantized", "Gradients held as int8">];
}

def ApplyQAS : Pass<"tinytrain-apply-qas", "::mlir::func::FuncOp"> {
  let summary = "Quantization-aware scaling of the gradients of stored integers";
  let description = [{
    The gradient of a quantized parameter with respect to its stored integers is s times that of
    the real value, and its integers are the real value divided by s: for a step like that of the
    real value the gradient is multiplied by s^-2, channel by channel. The scales are those of the
    parameter's type: s_w of a weight, s_w * s_x of a bias.
    Source: arXiv 2206.15472, section 2.1.
  }];
  let statistics = [Statistic<"numScaled", "scaled", "Gradients scaled">];
}

def ApplyOptimizer : Pass<"tinytrain-apply-optimizer", "::mlir::func::FuncOp"> {
  let summary = "Turns gradients into in-place parameter updates";
  let description = [{
    Replaces each `tinytrain.gradient_of` result by the parameter's new value,
    marked `tinytrain.update_of`, computed by SGD as PyTorch defines it. Adds the
    learning rate as an argument and, with momentum, one velocity per parameter.
    Each update stands directly after its gradient, which dies there, and the last
    read of its parameter.
  }];
  let options = [
    Option<"master", "master", "std::string", "\"\"",
           "master copy of trained int8 parameters: none, f32 or i16">,
    Option<"momentum", "momentum", "double", "0.0", "momentum factor">,
    Option<"weightDecay", "weight-decay", "double", "0.0", "L2 penalty">,
    Option<"updatesLast", "updates-last", "bool", "false",
           "update all parameters at the end, as frameworks do">,
  ];
  let dependentDialects = ["::tinytrain::TinyTrainDialect"];
}

def DetachFrozenParts : Pass<"tinytrain-detach-frozen-parts", "::mlir::ModuleOp"> {
  let summary = "Keeps the frozen channels of partly trained parameters apart";
  let description = [{
    A weight of which only the leading channels are updated becomes two arguments, in all
    functions: the trained part under its own name, and the frozen one, called `name#frozen`,
    which is constant. The ops that read the parameter read both, joined; a kernel reads each
    where it lies.
  }];
  let statistics = [
    Statistic<"numDetached", "parameters-detached", "Number of arguments split in two">,
    Statistic<"numBytes", "bytes-removed", "Bytes of parameters that need not be writable">,
  ];
  let dependentDialects = ["::tinytrain::TinyTrainDialect"];
}

def FuseOps : Pass<"tinytrain-fuse-ops", "::mlir::func::FuncOp"> {
  let summary = "Groups a convolution, pooling or reduction with the elementwise ops after it";
  let description = [{
    Folds transposes into matrix products, then outlines each root op and the
    elementwise ops that consume it into one `tinytrain.kernel`, whose
    intermediate values never reach memory. A weight gradient and its update
    become one kernel: the gradient exists one register tile at a time.
  }];
  let options = [
    Option<"fuse", "fuse", "bool", "true",
           "form kernels of several ops; else each op is a kernel">,
  ];
  let statistics = [
    Statistic<"numKernels", "kernels", "Number of kernels formed">,
    Statistic<"numFused", "ops-fused", "Number of elementwise ops fused into a root">,
    Statistic<"numBytes", "bytes-removed", "Bytes of tensors that stay in registers">,
  ];
  let dependentDialects = ["::tinytrain::TinyTrainDialect"];
}

def StreamRows : Pass<"tinytrain-stream-rows", "::mlir::ModuleOp"> {
  let summary = "Runs chains of int8 convolutions row by row";
  let description = [{
    Where a chain of convolutions, each the only reader of the one before, widens an image and
    narrows it again, the wide images need not exist as a whole: each row is computed from the
    last rows of the image before, which line buffers hold. The chain becomes one kernel of
    kernels for single rows (`tinytrain.row_window`), with the line buffers as a second result.
    No element is computed twice. Chains are taken where nothing else needs as much memory.
  }];
  let statistics = [
    Statistic<"numChains", "chains", "Chains of convolutions that run row by row">,
    Statistic<"numBytes", "bytes-not-kept", "Bytes of images that never exist as a whole">
  ];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def SplitChannels : Pass<"tinytrain-split-channels", "::mlir::func::FuncOp"> {
  let summary = "Runs an expansion and the depthwise convolution behind it group by group";
  let description = [{
    Of a pointwise convolution whose result only a depthwise convolution reads, all channels
    need not exist at the same time: both kernels are cut into groups of channels, and each
    depthwise one writes its channels of the common result. No element is computed twice.

    Only pairs that need more memory than all other ops of the function are cut, into as few
    groups, of four channels at least, as bring them down to those.
  }];
  let options = [
    Option<"maxGroups", "max-groups", "unsigned", "8", "largest number of groups">,
  ];
  let statistics = [
    Statistic<"numSplit", "pairs-split", "Number of pairs of convolutions cut">,
    Statistic<"numBytes", "bytes-removed", "Bytes of expansions that do not exist at a time">,
  ];
  let dependentDialects = ["::tinytrain::TinyTrainDialect", "::mlir::tensor::TensorDialect"];
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

def ConvertTinyTrainToLinalg
    : Pass<"convert-tinytrain-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "Lowers all tinytrain ops but kernels to linalg on tensors";
  let description = [{
    Convolutions and their adjoints become `linalg.generic` on padded inputs.
    The input gradient of a strided convolution is split into its phases by the
    index maps, without zeros in between. Ops inside a `tinytrain.kernel` stay
    inside it.

    Quantized tensors become tensors of stored integers, and their arithmetic explicit: int32
    sums, one multiplication in f32 per result, rounding, saturation. Such ops are marked
    `tinytrain.exact`: code generation neither rearranges nor contracts their floating-point
    operations, so that every target computes the same integers.
  }];
  let options = [
    Option<"exact", "exact", "bool", "false", "mark all ops as exact">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::quant::QuantDialect", "::mlir::tensor::TensorDialect"
  ];
}

def FormKernels : Pass<"tinytrain-form-kernels", "::mlir::func::FuncOp"> {
  let summary = "Puts every linalg op that is not in a kernel yet into one";
  let dependentDialects = ["::tinytrain::TinyTrainDialect"];
}

def ReorderOps : Pass<"tinytrain-reorder-ops", "::mlir::func::FuncOp"> {
  let summary = "Schedules ops for the smallest peak of live bytes";
  let description = [{
    Searches the orders that keep every dependency: operands before users, and the update of a
    parameter behind all that reads its old value. Ops that free at least what they
    allocate, updates above all, run as soon as they can. The search improves on the input
    order until no better one exists or its limit is reached; the result is never worse.

    Live bytes are those of the op results that are still needed; views, constants,
    arguments and updates in place have none, and with `in-place` an elementwise result takes
    over an operand of its size that dies.
  }];
  let options = [
    Option<"inPlace", "in-place", "bool", "true", "count on results written in place">,
    Option<"limit", "limit", "unsigned", "20000", "number of partial schedules to look at">,
  ];
  let statistics = [
    Statistic<"peakBefore", "peak-before", "Largest sum of live bytes in the input order">,
    Statistic<"peakAfter", "peak-after", "Largest sum of live bytes in the new order">,
    Statistic<"proven", "proven-optimal", "Number of functions whose order is proven optimal">,
  ];
}

def AssignDestinations : Pass<"tinytrain-assign-destinations", "::mlir::func::FuncOp"> {
  let summary = "Gives every kernel result the buffer it is written to";
  let description = [{
    An update is written to its parameter. Another result takes over an operand of its
    size that is read at the same place only and dies here, or a fresh tensor.
  }];
  let options = [
    Option<"inPlace", "in-place", "bool", "true", "let results take over dying operands">,
  ];
  let statistics = [
    Statistic<"numInPlace", "in-place", "Number of results written in place">,
    Statistic<"numBytes", "bytes-removed", "Bytes of results written over a dying operand">,
  ];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def BufferizeGraph : Pass<"tinytrain-bufferize-graph", "::mlir::ModuleOp"> {
  let summary = "One-shot bufferization that leaves the inside of kernels on tensors";
  let description = [{
    Arguments and results become memrefs of the dense row-major layout. The region of a
    kernel goes on to describe on tensors what its loop nest computes.
  }];
  let dependentDialects = [
    "::mlir::bufferization::BufferizationDialect", "::mlir::memref::MemRefDialect"
  ];
}

def VerifyInPlaceUpdates : Pass<"tinytrain-verify-in-place-updates", "::mlir::func::FuncOp"> {
  let summary = "Fails if a parameter is copied";
  let description = [{
    Runs after bufferization: the buffer returned for each `tinytrain.update_of`
    result has to be the argument's own, and no copy may read or write a parameter.
    Removes those results.
  }];
}

def PackFrozenWeights : Pass<"tinytrain-pack-frozen-weights", "::mlir::ModuleOp"> {
  let summary = "Lays frozen weights out as the vectors of a target read them";
  let description = [{
    A parameter that no function updates is a constant, and may lie in any order. Where all kernels
    that read it, or slices of it, are sums of its products with something that is the same for all
    output channels, they and the parameter get the attribute `tinytrain.packed = array<i64: lanes, group>`. The contents of a weight
    `O x ... x I` are then expected as `[O / lanes][terms / group][lanes][group]`, the terms of a
    sum in order: a vector runs over output channels, and each lane holds the `group` neighbours
    that one instruction multiplies and adds. Types and indices in kernels stay as they are.
    Where other kernels read it otherwise, as an input gradient does, a microcontroller keeps one
    plain weight in its flash; elsewhere the former kernels read a copy, the parameter `name#packed`.

    With the DSP extension, weights of layers with many pixels get `tinytrain.widened = run`
    instead, and twice the room: the bytes of each run, which is the last dimension or the
    last two, lie as halfwords in the order 0, 2, 1, 3, so that a kernel need not widen them. Behind
    a run of 4n + 1 bytes stands the last one of the next run, so that two can be multiplied at once.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "name of the target">,
  ];
  let statistics = [
    Statistic<"numPacked", "packed", "Number of weights that are packed">,
    Statistic<"numCopies", "copies", "Number of weights with a packed copy">,
  ];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def FoldZeroPoints : Pass<"tinytrain-fold-zero-points", "::mlir::ModuleOp"> {
  let summary = "Lets frozen biases take over what sums of weights times a zero point contribute";
  let description = [{
    Instructions that multiply and add stored bytes leave their zero point to be corrected: the sum
    over an output channel's weights times it is subtracted from each result. Where weights and
    bias are frozen and no result meets padding, the bias gets
    `tinytrain.folded = {weight, amount}`, which says that its contents are expected less
    `amount` times the sum of the channel's weights, and the kernel `tinytrain.folded` with the zero
    point that is left: the one for which its instructions need no correction.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "name of the target">,
  ];
  let statistics = [
    Statistic<"numFolded", "folded", "Number of biases that take over a correction">,
  ];
}

def LowerRowPipelines : Pass<"tinytrain-lower-row-pipelines", "::mlir::ModuleOp"> {
  let summary = "Turns row pipelines into functions that call their stages' kernels turn by turn";
  let description = [{
    The stages become kernels on line buffers, inside a private function for each pipeline, which
    records as `tinytrain.overlaps` how its result may overlap its input.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def ChooseOrders : Pass<"tinytrain-choose-orders", "::mlir::ModuleOp"> {
  let summary = "Chooses the fastest order of each kernel's loops that the arena has room for";
  let description = [{
    Kernels run pixel by pixel, so that results may overlap operands that die. Depthwise
    convolutions on small images are faster row by row or, better, channel by channel, where less
    may overlap, or nothing. The arena is planned with all kernels running pixel by pixel. Then one kernel
    after the other, those that compute most first, gets the attribute `tinytrain.order`, if with that
    order too a plan is found that is no larger.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "name of the target">,
    Option<"alignment", "alignment", "int64_t", "16", "alignment of every buffer in bytes">,
    Option<"overlap", "overlap", "bool", "true", "let results overlap dying operands">,
    Option<"rounds", "rounds", "unsigned", "20000", "number of placements to try for each plan">,
  ];
  let statistics = [
    Statistic<"numKernels", "kernels", "Number of kernels in another order than pixel by pixel">,
  ];
}

def LowerKernels : Pass<"tinytrain-lower-kernels", "::mlir::ModuleOp"> {
  let summary = "Turns kernels into loop nests, one function per distinct kernel";
  let description = [{
    Each kernel becomes a call of a private function; kernels that compute
    the same on the same shapes share it. Register blocking follows
    the target (`lib/Target/TargetInfo`): a tile of accumulators, vectors along
    a contiguous dimension, loop bounds in place of padding, the elementwise ops
    applied before the only store.

    Each function records as `tinytrain.overlaps` how a result may overlap an operand that
    nobody reads afterwards: the order of the loop nest's tiles and its index maps say
    which elements are still to be read when an element is written.

    With several threads, each public function is run by all of them at once and gets the number
    of its thread as a last argument. The threads share the results of each kernel, none of which
    depends on their number, and wait for each other by calls of `barrier` between kernels. Then no
    result overlaps an operand, and row pipelines are an error.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "name of the target">,
    Option<"threads", "threads", "unsigned", "1", "number of threads that share the work">,
  ];
  let statistics = [
    Statistic<"numFunctions", "functions", "Number of distinct kernels">,
    Statistic<"numCalls", "calls", "Number of kernel calls">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

def OwnInput : Pass<"tinytrain-own-input", "::mlir::func::FuncOp"> {
  let summary = "Copies the input into the arena, where results may overwrite it";
  let description = [{
    The first argument of a public function is copied to a buffer that `tinytrain-plan-memory`
    places at the start of the arena. Who writes the input there in the first place needs no
    other memory for it.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def PlanMemory : Pass<"tinytrain-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Places every buffer in one static arena, every parameter in a global";
  let description = [{
    Lifetimes run from a buffer's first to its last use, counted in kernel calls.
    Functions never run at the same time, so they share the arena. Two buffers
    alive at the same call do not overlap, but for what `tinytrain.overlaps` of the
    called kernel allows between a result and an operand that dies there.

    Buffers are placed one after the other at the lowest free offset, in many orders: by
    size, by time, and variations of the best, until the arena is as small as the largest
    sum of live buffers or the orders run out. An overlap that is in the way stays unused.
    The buffer of `tinytrain-own-input` lies at the arena's start; it is not filled where the
    caller passes that address.

    Updated parameters and optimizer state share one global, frozen
    parameters have one each. Inputs, labels and outputs stay arguments.
  }];
  let options = [
    Option<"alignment", "alignment", "int64_t", "16", "alignment of every buffer in bytes">,
    Option<"overlap", "overlap", "bool", "true", "let results overlap dying operands">,
    Option<"rounds", "rounds", "unsigned", "20000", "number of orders to try per function">,
  ];
  let statistics = [
    Statistic<"numBuffers", "buffers", "Number of buffers placed">,
    Statistic<"arenaBytes", "arena-bytes", "Size of the arena">,
    Statistic<"boundBytes", "bound-bytes", "Largest sum of live buffers, less what may overlap">,
    Statistic<"overlapBytes", "overlap-bytes", "Bytes shared by results and dying operands">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect"];
}

def ExpandMath : Pass<"tinytrain-expand-math", "::mlir::ModuleOp"> {
  let summary = "Replaces exp and log by polynomials in arithmetic every target has";
  let description = [{
    On targets without an FPU a fused multiply-add becomes a call of a function that rounds
    once too, so that integers are requantized to the same bits as elsewhere.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "name of the target">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::vector::VectorDialect"
  ];
}

def SelectInstructions : Pass<"tinytrain-select-instructions"> {
  let summary = "Writes clamps and tests of bits as the instructions of Cortex-M cores do them";
  let description = [{
    The end of a requantization clamps the bits of a float and then subtracts the float's bits
    of zero. The other way round, with a sum that saturates, these are QADD and SSAT. A float that is
    chosen by one bit of a mask becomes TST and VSEL. Two or four requantizations that stand together
    share the moves to and from the FPU: VMOV takes two registers. With Helium, conversions of vectors
    are hidden from the products that follow them, as LLVM cannot encode what it makes of both; on
    targets with neither the pass changes nothing.

    ```mlir
    // before: six instructions
    %0 = arith.maxsi %bits, %c1262485376_i32 : i32
    %1 = arith.minsi %0, %c1262485631_i32 : i32
    %2 = arith.subi %1, %c1262485504_i32 : i32
    %3 = arith.trunci %2 : i32 to i8
    // after: two
    %0 = llvm.intr.sadd.sat(%bits, %c-1262485504_i32) : (i32, i32) -> i32
    %1 = arith.maxsi %0, %c-128_i32 : i32
    %2 = arith.minsi %1, %c127_i32 : i32
    %3 = arith.trunci %2 : i32 to i8
    ```
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "name of the target">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect"];
}

def VectorToLLVM : Pass<"tinytrain-vector-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Vector ops to the LLVM dialect, with the target's pointer size";
  let description = [{
    The upstream pass assumes 64-bit indices.
  }];
  let options = [
    Option<"indexBits", "index-bits", "unsigned", "64", "bits of a pointer">,
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // TINYTRAIN_PASSES_TD
