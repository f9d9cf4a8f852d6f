// RUN: tinytrain-opt %s --tinytrain-lower-kernels=target=z80 --verify-diagnostics

// expected-error@+1 {{unknown target 'z80'}}
module {
}
