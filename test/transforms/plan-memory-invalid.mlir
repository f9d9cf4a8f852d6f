// RUN: tinytrain-opt %s --tinytrain-plan-memory --split-input-file --verify-diagnostics

func.func @nested(%x: memref<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.for %i = %c0 to %c4 step %c1 {
    // expected-error@+1 {{'memref.alloc' op cannot be placed: buffers must be static and at the function's top level}}
    %a = memref.alloc() : memref<4xf32>
    memref.copy %x, %a : memref<4xf32> to memref<4xf32>
  }
  return
}

// -----

func.func @dynamic(%n: index) {
  // expected-error@+1 {{'memref.alloc' op cannot be placed: buffers must be static and at the function's top level}}
  %a = memref.alloc(%n) : memref<?xf32>
  return
}

// -----

func.func @step(%w: memref<4xf32> {tinytrain.param = "w", tinytrain.updated}) {
  return
}
// expected-error@+1 {{'w' has type 'memref<2x2xf32>' where a memref of one type in all functions is expected}}
func.func @predict(%w: memref<2x2xf32> {tinytrain.param = "w"}) {
  return
}

// -----

// expected-error@+1 {{'w' has type 'tensor<4xf32>' where a memref of one type in all functions is expected}}
func.func @tensors(%w: tensor<4xf32> {tinytrain.param = "w"}) {
  return
}

// -----

// A returned buffer would have to outlive the function.
func.func private @use(memref<8xf32>)
func.func @returned() -> memref<8xf32> {
  // expected-error@+1 {{'memref.alloc' op cannot be placed: 'func.return' uses it, where only calls at the function's top level may}}
  %a = memref.alloc() : memref<8xf32>
  call @use(%a) : (memref<8xf32>) -> ()
  return %a : memref<8xf32>
}

// -----

func.func private @use(memref<8xf32>)
func.func @nested(%n: index, %one: index) {
  // expected-error@+1 {{'memref.alloc' op cannot be placed: 'func.call' uses it, where only calls at the function's top level may}}
  %a = memref.alloc() : memref<8xf32>
  scf.for %i = %one to %n step %one {
    func.call @use(%a) : (memref<8xf32>) -> ()
  }
  return
}
