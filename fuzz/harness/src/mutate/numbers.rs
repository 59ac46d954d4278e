//! Numbers at which code goes wrong.

use fastrand::Rng;

const NUMBERS: [i64; 26] = [
    0,
    1,
    -1,
    2,
    3,
    4,
    7,
    8,
    9,
    16,
    31,
    32,
    63,
    64,
    65,
    127,
    128,
    255,
    256,
    65_535,
    1 << 31,
    (1 << 31) - 1,
    1 << 33,
    1 << 40,
    i64::MAX,
    i64::MIN,
];

/// One of them, or a number near `old`.
pub(super) fn integer(old: i64, random: &mut Rng) -> i64 {
    match random.u8(..4) {
        0 => old.wrapping_add(random.i64(-2..=2)),
        1 => old.wrapping_mul([2, -1, 0, 1000].get(random.usize(..4)).copied().unwrap_or(2)),
        _ => NUMBERS.get(random.usize(..NUMBERS.len())).copied().unwrap_or(0),
    }
}

/// A real number of any kind.
pub(super) fn real(random: &mut Rng) -> f32 {
    const REALS: [f32; 12] =
        [0.0, -0.0, 1.0, -1.0, 0.5, 1e-38, 1e-45, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    REALS.get(random.usize(..REALS.len())).copied().unwrap_or(0.0)
}
