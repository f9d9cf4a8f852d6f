//===- TinyTrainKernelOps.td - Kernels and row pipelines ---*- tablegen -*-===//
//
// Included by TinyTrainOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef TINYTRAIN_KERNEL_OPS_TD
#define TINYTRAIN_KERNEL_OPS_TD

def TT_KernelOp : Op<TinyTrain_Dialect, "kernel", [
    IsolatedFromAbove, AttrSizedOperandSegments, SingleBlock,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "One loop nest: a root op with the elementwise ops that follow it";
  let description = [{
    The region describes on tensors what the loop nest computes; the operands
    are tensors before bufferization and memrefs after it, the region stays
    as it is. Its arguments are the inputs, then the inits. Each result
    is written to the init of the same position; before destinations are
    assigned there are no inits. An init whose argument is used is updated in
    place.

    ```mlir
    %y = tinytrain.kernel ins(%x, %w, %b) outs() : (tensor<4x8xf32>, tensor<16x8xf32>, tensor<16xf32>) -> tensor<4x16xf32> {
    ^bb0(%a: tensor<4x8xf32>, %c: tensor<16x8xf32>, %d: tensor<16xf32>):
      %0 = tinytrain.matmul %a, %c {transpose_rhs} : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32>
      %1 = tinytrain.bias_add %0, %d : (tensor<4x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
      tinytrain.yield %1 : tensor<4x16xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyShaped>:$inputs, Variadic<AnyShaped>:$inits,
                       OptionalAttr<StrAttr>:$label,
                       DefaultValuedAttr<I64Attr, "0">:$macs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    (`label` $label^)? `ins` `(` $inputs `)` `outs` `(` $inits `)` attr-dict-with-keyword
    `:` functional-type(operands, results) $body
  }];
  let hasVerifier = 1;
  let skipDefaultBuilders = 0;
  let extraClassDeclaration = [{
    ::mlir::Block *getKernelBlock() { return &getBody().front(); }
    /// The region argument that stands for init `i`.
    ::mlir::BlockArgument getInitArgument(unsigned i) {
      return getKernelBlock()->getArgument(getInputs().size() + i);
    }
  }];
}

def TT_RowWindowOp : TT_Op<"row_window", [HasParent<"KernelOp">]> {
  let summary = "The rows of an image at hand in one turn of a row pipeline";
  let description = [{
    In a kernel that holds kernels for single rows: rows `step * r + offset` and the next ones,
    `rows` in all, of an image of `height` rows, for row r of what reads them. The operand is the
    whole image, or a kernel's row of it: then the last rows are kept in a line buffer. Rows
    outside the image hold `fill`.
  }];
  let arguments = (ins TT_AnyTensor:$input, I64Attr:$rows, I64Attr:$step, I64Attr:$offset,
                       I64Attr:$height, I64Attr:$fill);
  let results = (outs TT_AnyTensor:$output);
}

def TT_JoinRowsOp : TT_Op<"join_rows", [HasParent<"KernelOp">]> {
  let summary = "The image of all rows that a row pipeline's last kernel computes";
  let description = [{
    The result is the operand's row r, for every r.
  }];
  let arguments = (ins TT_AnyTensor:$input);
  let results = (outs TT_AnyTensor:$output);
}

def TT_YieldOp : Op<TinyTrain_Dialect, "yield", [
    Pure, Terminator, ReturnLike, HasParent<"KernelOp">]> {
  let summary = "Ends a kernel; its operands are the kernel's results";
  let description = [{
    The values stand in the order of the kernel's results and inits.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "($results^ `:` type($results))? attr-dict";
}

#endif // TINYTRAIN_KERNEL_OPS_TD
