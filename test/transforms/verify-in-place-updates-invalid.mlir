// RUN: tinytrain-opt %s --tinytrain-verify-in-place-updates --split-input-file --verify-diagnostics

func.func @copied(%w: memref<4xf32> {tinytrain.param = "fc.weight"}) -> (memref<4xf32> {tinytrain.update_of = 0}) {
  %c = memref.alloc() : memref<4xf32>
  // expected-error@+1 {{'memref.copy' op copies the parameter 'fc.weight': its update is not in place, because its old value is read after the update}}
  memref.copy %w, %c : memref<4xf32> to memref<4xf32>
  return %w : memref<4xf32>
}

// -----

// The other direction, on optimizer state and behind a view.
func.func @written(%v: memref<2x2xf32> {tinytrain.state = "fc.weight.velocity"}, %c: memref<4xf32>)
    -> (memref<2x2xf32> {tinytrain.update_of = 0}) {
  %view = memref.collapse_shape %v [[0, 1]] : memref<2x2xf32> into memref<4xf32>
  // expected-error@+1 {{copies the parameter 'fc.weight.velocity'}}
  memref.copy %c, %view : memref<4xf32> to memref<4xf32>
  return %v : memref<2x2xf32>
}

// -----

// expected-error@+1 {{the new value of 'fc.weight' is not in the parameter's own buffer}}
func.func @elsewhere(%w: memref<4xf32> {tinytrain.param = "fc.weight"}) -> (memref<4xf32> {tinytrain.update_of = 0}) {
  %c = memref.alloc() : memref<4xf32>
  return %c : memref<4xf32>
}

// -----

// expected-error@+1 {{the new value of 'argument 1' is not in the parameter's own buffer}}
func.func @unnamed(%x: memref<4xf32>, %w: memref<4xf32>) -> (memref<4xf32> {tinytrain.update_of = 1}) {
  return %x : memref<4xf32>
}

// -----

// A copy between other buffers and a cast of the parameter are fine.
func.func @fine(%w: memref<4xf32> {tinytrain.param = "fc.weight"}, %x: memref<4xf32>) -> (memref<?xf32> {tinytrain.update_of = 0}) {
  %c = memref.alloc() : memref<4xf32>
  memref.copy %x, %c : memref<4xf32> to memref<4xf32>
  %v = memref.cast %w : memref<4xf32> to memref<?xf32>
  return %v : memref<?xf32>
}
