//! What reading a hostile file may take: memory at once and in sum, and no panic. How long it takes is not asked, since that
//! says more of the machine; what allocates little and never ends shows as a test that does not end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![allow(dead_code, reason = "each test uses what it needs")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use residua_formats::{Container, FormatError};

use crate::common::{open_bytes, tensors};

/// Counts what is allocated.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// All that was ever allocated.
static SUM: AtomicUsize = AtomicUsize::new(0);
/// The counters are of the process, so one test at a time uses them.
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

// SAFETY: every call is handed on to the system's allocator unchanged.
#[expect(unsafe_code, reason = "the only way to see allocations")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        SUM.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Numbers that are the same in each run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

/// Reads a file to its last element; the size of the peak in memory, and what was read.
fn read_all(bytes: &[u8]) -> (usize, Result<Container, FormatError>) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let container = open_bytes(bytes);
    if let Ok(container) = &container {
        for tensor in tensors(container) {
            let _ = tensor.tensor.append_le_bytes(&mut Vec::new());
        }
    }
    (PEAK.load(Relaxed) - before, container)
}

/// What reading a file of some 100 KB may take: far less than its limits, which are for what is claimed on purpose.
const MEMORY: usize = 300 << 20;
/// What it may allocate in all, a measure of its work.
const WORK: usize = 2 << 30;

/// Whether the file was taken, however damaged it is.
pub(crate) fn survives(name: &str, what: &str, bytes: &[u8]) -> bool {
    read_within_bounds(name, what, bytes).is_ok()
}

/// What reading gives, soon and in little memory.
pub(crate) fn read_within_bounds(name: &str, what: &str, bytes: &[u8]) -> Result<Container, FormatError> {
    let before = SUM.load(Relaxed);
    let read = catch_unwind(AssertUnwindSafe(|| read_all(bytes)));
    let (peak, taken) = read.unwrap_or_else(|_| panic!("{name} with {what} panics"));
    assert!(peak < MEMORY, "{name} with {what} takes {peak} bytes");
    let work = SUM.load(Relaxed) - before;
    assert!(work < WORK, "{name} with {what} allocates {work} bytes in all");
    taken
}
