//! Virtual machine monitors: capabilities, command lines and domain files, running.

#![forbid(unsafe_code)]
