//! Objects in a heap of links or attributes, however deep the heap is.
//!
//! A heap is a table of blocks whose rows double in size; what the largest blocks do not hold is in tables within the
//! table. `hdf5-reader` finds the block of an object there, and then counts the place of the object within the block from
//! the start of the heap instead of from the start of that inner table, so that all objects in it are beyond the end.
//! Here an inner table is made the root of a heap of its own, in which places count from its start.
//!
//! Facts about the format are from the HDF5 file format specification, version 3, III.G.

use hdf5_reader::Storage;
use hdf5_reader::error::{Error, Result};
use hdf5_reader::fractal_heap::{FractalHeap, FractalHeapDirectBlockCache};
use hdf5_reader::io::Cursor;

/// The widths of addresses and lengths in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Widths {
    pub(super) offsets: u8,
    pub(super) lengths: u8,
}

/// The object with this id.
pub(super) fn object(
    heap: &FractalHeap,
    id: &[u8],
    storage: &dyn Storage,
    widths: Widths,
    blocks: &mut FractalHeapDirectBlockCache,
) -> Result<Vec<u8>> {
    let Widths { offsets, lengths } = widths;
    let mut get = |heap: &FractalHeap, id: &[u8]| {
        heap.get_object_storage_cached_with_registry(id, storage, offsets, lengths, blocks, None)
    };
    // Bits 4 and 5 of an id say where the object is: 0 is a block of the table.
    let width = usize::from(heap.max_heap_size).div_ceil(8).max(1);
    let Some(place) = id.get(1..=width).filter(|place| id[0] & 0x30 == 0 && place.len() <= 8) else {
        return get(heap, id);
    };
    let mut offset = place.iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    let Some(mut inner) = within(heap, &mut offset, storage, widths)? else { return get(heap, id) };
    // Each is of a row above that in which it lies, so there are fewer than there are rows.
    while let Some(next) = within(&inner, &mut offset, storage, widths)? {
        inner = next;
    }
    let mut id = id.to_vec();
    id[1..=width].copy_from_slice(&offset.to_le_bytes()[..width]);
    get(&inner, &id)
}

/// The table within the root table of a heap that this place lies in, as the root of a heap, and the place in it.
fn within(
    heap: &FractalHeap,
    offset: &mut u64,
    storage: &dyn Storage,
    Widths { offsets, lengths }: Widths,
) -> Result<Option<FractalHeap>> {
    let overflow = || Error::InvalidData("the tables of a heap are larger than any file".into());
    let columns = u64::from(heap.table_width);
    let row_size = |row: u16| match row.checked_sub(1) {
        None => Some(heap.starting_block_size),
        Some(doubled) => heap.starting_block_size.checked_mul(1_u64.checked_shl(u32::from(doubled))?),
    };
    let (mut start, mut direct_rows) = (0_u64, 0);
    for row in 0..heap.current_rows_in_root_indirect {
        let size = row_size(row).filter(|&size| size > 0).ok_or_else(overflow)?;
        let end = size.checked_mul(columns).and_then(|all| start.checked_add(all)).ok_or_else(overflow)?;
        if size <= heap.max_direct_block_size {
            direct_rows = row + 1;
        } else if (start..end).contains(&*offset) {
            let column = (*offset - start) / size;
            let filtered = if heap.io_filters_len > 0 { u64::from(lengths) + 4 } else { 0 };
            // Signature, version, the heap's address, the place of the table in the heap; then blocks, then tables.
            let header = 5 + u64::from(offsets) + u64::from(heap.max_heap_size).div_ceil(8);
            let entries = u64::from(direct_rows) * columns * (u64::from(offsets) + filtered);
            let tables = (u64::from(row - direct_rows) * columns + column) * u64::from(offsets);
            let at = heap.root_block_address.checked_add(header + entries + tables).ok_or_else(overflow)?;
            let entry = storage.read_range(at, usize::from(offsets))?;
            let root_block_address = Cursor::new(entry.as_ref()).read_offset(offsets)?;
            if Cursor::is_undefined_offset(root_block_address, offsets) {
                return Err(Error::UndefinedAddress);
            }
            // As many rows as come to the size of the table; they are fewer than those above it.
            let sizes = (0..row).map_while(row_size).scan(0_u64, |sum, size| {
                *sum = sum.checked_add(size.checked_mul(columns)?)?;
                Some(*sum)
            });
            let rows = sizes.take_while(|&sum| sum <= size).count();
            let current_rows_in_root_indirect = u16::try_from(rows).map_err(|_| overflow())?;
            *offset -= start + column * size;
            return Ok(Some(FractalHeap { root_block_address, current_rows_in_root_indirect, ..heap.clone() }));
        }
        start = end;
    }
    Ok(None)
}
