//! Bytes that the allocator was asked for and did not get back.

use std::alloc::System;

use cap::Cap;

use crate::Result;

// Counting each request takes a fifth of the time of the tests, which try over a thousand firmwares on all cores, and none of
// them asks how much memory there is.
#[cfg_attr(not(test), global_allocator)]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What `make` makes, and how many bytes of heap it keeps.
pub(super) fn kept<T>(make: impl FnOnce() -> Result<T>) -> Result<(T, usize)> {
    let before = ALLOCATOR.allocated();
    let made = make()?;
    Ok((made, ALLOCATOR.allocated().saturating_sub(before)))
}
