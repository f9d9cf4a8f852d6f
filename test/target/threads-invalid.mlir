// RUN: tinytrain-opt %s --tinytrain-lower-kernels="target=cortex-a72 threads=0" --verify-diagnostics

// expected-error@+1 {{expects a number of threads above 0}}
module {
}
