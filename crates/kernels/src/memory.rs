//! Memory of weights, in huge pages where the system has them.
//!
//! A model that generates reads all of its weights for every token. In pages of 4 KiB, finding where each page is takes almost as
//! long as reading it: here memory is taken in chunks of some megabytes, for which the system is asked to use pages of 2 MiB, and
//! the many small matrices of a model share a chunk.

#![expect(
    unsafe_code,
    reason = "memory with an alignment of its own, parts of which have different owners"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Bytes of a huge page.
const PAGE: usize = 2 << 20;
/// Bytes of a chunk that is shared.
const CHUNK: usize = 8 * PAGE;
/// Less than this is not worth a huge page.
const SMALL: usize = 1 << 15;
/// Bytes of a line of the cache: every piece begins with a line.
const LINE: usize = 64;

/// Memory taken from the system at once, freed with the last piece of it.
#[derive(Debug)]
struct Chunk {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a chunk gives no access to its memory; pieces do, each to bytes that no other piece has.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    fn new(bytes: usize, align: usize) -> Arc<Self> {
        let Ok(layout) = Layout::from_size_align(bytes.max(1), align).map(|layout| layout.pad_to_align()) else {
            handle_alloc_error(Layout::new::<u8>());
        };
        // SAFETY: the layout has a size.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout);
        };
        #[cfg(target_os = "linux")]
        if align == PAGE {
            unsafe extern "C" {
                fn madvise(start: *mut u8, bytes: usize, advice: i32) -> i32;
            }
            /// `MADV_HUGEPAGE` of Linux.
            const HUGE_PAGE: i32 = 14;
            // SAFETY: these are whole pages of ours, and the advice changes nothing of what they hold. Where it is not taken, the
            // memory is as good, but slower.
            let _ = unsafe { madvise(start.as_ptr(), layout.size(), HUGE_PAGE) };
        }
        Arc::new(Self { start, layout })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: it has been taken with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// Bytes that begin with a line of the cache.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Within the chunk, and initialised.
    start: NonNull<u8>,
    bytes: usize,
    /// Holds the memory.
    _chunk: Arc<Chunk>,
}

// SAFETY: the bytes have no other owner.
unsafe impl Send for Memory {}
// SAFETY: shared access only reads.
unsafe impl Sync for Memory {}

impl Memory {
    /// So many bytes, all zero.
    pub(crate) fn zeroed(bytes: usize) -> Self {
        /// The chunk that is being used up, and how many bytes have been used of it.
        static CURRENT: Mutex<(Weak<Chunk>, usize)> = Mutex::new((Weak::new(), 0));

        let (chunk, from) = if bytes < SMALL {
            (Chunk::new(bytes, LINE), 0)
        } else if bytes > CHUNK / 2 {
            (Chunk::new(bytes, PAGE), 0)
        } else {
            let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = current.0.upgrade().filter(|_| current.1 + bytes <= CHUNK);
            let chunk = rest.unwrap_or_else(|| {
                let chunk = Chunk::new(CHUNK, PAGE);
                *current = (Arc::downgrade(&chunk), 0);
                chunk
            });
            let from = current.1;
            current.1 = (from + bytes).next_multiple_of(LINE);
            (chunk, from)
        };
        // SAFETY: the chunk has at least `bytes` from `from` on, which nobody else has.
        let start = unsafe {
            let start = chunk.start.add(from);
            start.write_bytes(0, bytes);
            start
        };
        Self {
            start,
            bytes,
            _chunk: chunk,
        }
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are initialised and the chunk holds them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the bytes are initialised, the chunk holds them, and nobody else has them.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        let mut copy = Self::zeroed(self.bytes);
        copy.copy_from_slice(self);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_zero_begin_with_a_line_and_do_not_overlap() {
        let sizes = [
            0,
            1,
            SMALL - 1,
            SMALL,
            SMALL + 1,
            100_001,
            CHUNK / 2,
            CHUNK / 2,
            CHUNK / 2 + 1,
            SMALL,
        ];
        let mut pieces: Vec<Memory> = sizes.into_iter().map(Memory::zeroed).collect();
        for (index, piece) in pieces.iter_mut().enumerate() {
            assert_eq!(piece.len(), sizes[index]);
            assert_eq!(piece.as_ptr() as usize % LINE, 0);
            assert!(piece.iter().all(|&byte| byte == 0));
            piece.fill(index as u8 + 1);
        }
        // Some are freed and others take their place.
        pieces.truncate(8);
        let others: Vec<Memory> = sizes.into_iter().map(Memory::zeroed).collect();
        assert!(others.iter().all(|piece| piece.iter().all(|&byte| byte == 0)));
        for (index, piece) in pieces.iter().enumerate() {
            assert!(piece.clone().iter().all(|&byte| byte == index as u8 + 1));
        }
    }
}
