//! Memory for packed factors, which each thread keeps from one product to the next.

use std::cell::Cell;

use bytemuck::{Pod, Zeroable};

/// One cache line of units (see [`Kernel`](super::kernel::Kernel)), so that no vector lies across two of them.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u32; Line::UNITS]);

impl Line {
    pub(crate) const UNITS: usize = 16;

    pub(crate) fn zeros(units: usize) -> Vec<Self> {
        vec![Self::zeroed(); units.div_ceil(Self::UNITS)]
    }
}

thread_local! {
    static ROWS: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
    static PANELS: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Calls `use_` with room for `units` units of the left factor, of whatever content.
pub(super) fn with_rows<R>(units: usize, use_: impl FnOnce(&mut [u32]) -> R) -> R {
    // Taken away while it is in use: a product inside of `use_`, on this thread, gets another one.
    let mut lines = ROWS.take();
    let result = use_(room(&mut lines, units));
    ROWS.set(lines);
    result
}

/// The same for the right factor.
pub(super) fn with_panels<R>(units: usize, use_: impl FnOnce(&mut [u32]) -> R) -> R {
    let mut lines = PANELS.take();
    let result = use_(room(&mut lines, units));
    PANELS.set(lines);
    result
}

fn room(lines: &mut Vec<Line>, units: usize) -> &mut [u32] {
    let count = units.div_ceil(Line::UNITS);
    if lines.len() < count {
        // A new one instead of a longer one: nothing in it is worth being copied.
        *lines = Line::zeros(units);
    }
    &mut bytemuck::cast_slice_mut(lines)[..units]
}
