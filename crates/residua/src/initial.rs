//! Seeded weights, the same to the last bit on every machine.
//!
//! Numbers come from SplitMix64 (Steele, Lea, Flood 2014): of each tensor a stream of its own, whose first state is the
//! seed mixed with the tensor's place. The upper 24 bits of each make a number in [0, 1), and weights are uniform. So
//! nothing is computed but products, a quotient and a square root, which IEEE 754 rounds in one way.

use residua_ir::{Tensor, TensorError};

/// A stream of numbers.
#[derive(Debug, Clone)]
struct Stream(u64);

/// SplitMix64's output function.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Stream {
    fn new(seed: u64, place: u64) -> Self {
        Self(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ mix(place.wrapping_mul(0xd1b5_4a32_d192_ed03)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// In [−1, 1), a multiple of 2⁻²³.
    fn symmetric(&mut self) -> f64 {
        let upper = u32::try_from(self.next() >> 40).unwrap_or(0);
        f64::from(upper) / f64::from(1_u32 << 23) - 1.0
    }
}

/// How wide weights are spread, by the numbers that go into one of the result and that come of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Initial {
    /// Between ±√(6 / in): He et al. 2015, for layers before a ReLU; Keras's `he_uniform`.
    He,
    /// Between ±√(6 / (in + out)): Glorot and Bengio 2010; Keras's `glorot_uniform`, what its dense layers begin with.
    Glorot,
}

/// A kernel `[out, in, …]`, at this place among the tensors of its network.
///
/// # Errors
/// Where there are more elements than fit.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "sizes of layers; weights are f32")]
pub(crate) fn kernel(initial: Initial, shape: &[usize], seed: u64, place: u64) -> Result<Tensor, TensorError> {
    let pixels: usize = shape.iter().skip(2).product();
    let (out, into) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
    let fan = match initial {
        Initial::He => into.saturating_mul(pixels),
        Initial::Glorot => into.saturating_add(out).saturating_mul(pixels),
    };
    let limit = (6.0 / fan.max(1) as f64).sqrt();
    let mut stream = Stream::new(seed, place);
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| (stream.symmetric() * limit) as f32).collect();
    Tensor::from_f32(shape.to_vec(), &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of Vigna's `splitmix64.c` from state 1234567.
    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut stream = Stream(1_234_567);
        let found: Vec<u64> = (0..3).map(|_| stream.next()).collect();
        assert_eq!(found, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn weights_fill_their_interval_evenly_and_depend_on_seed_and_place() {
        let weights = |initial, seed, place| kernel(initial, &[64, 32, 3, 3], seed, place).unwrap().to_f32().unwrap();
        let he = weights(Initial::He, 7, 3);
        let limit = (6.0_f64 / 288.0).sqrt();
        let mean = he.iter().map(|&w| f64::from(w)).sum::<f64>() / he.len() as f64;
        let variance = he.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / he.len() as f64;
        assert!(he.iter().all(|&w| f64::from(w).abs() <= limit * (1.0 + 1e-7)));
        assert!(mean.abs() < 0.003 && (variance / (2.0 / 288.0) - 1.0).abs() < 0.03, "{mean} {variance}");
        assert_eq!(he, weights(Initial::He, 7, 3));
        assert!(he != weights(Initial::He, 8, 3) && he != weights(Initial::He, 7, 4));
        let glorot = weights(Initial::Glorot, 7, 3);
        assert!(glorot.iter().all(|&w| f64::from(w).abs() <= (6.0_f64 / 864.0).sqrt() * (1.0 + 1e-7)));
    }
}
