//! The device test bench: suites, transports, guests, the matrix, comparison of runs.

#![forbid(unsafe_code)]
