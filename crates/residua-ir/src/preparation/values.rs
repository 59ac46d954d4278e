//! What becomes of the values of pixels: the order of channels, a factor, a mean and a deviation.

use serde::{Deserialize, Serialize};

use super::PreparationError;

/// The order in which a network takes the channels of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// `(pixel · factor − mean) / deviation`, for pixels from 0 to 255; one mean and deviation a channel, in the order in
/// which the network takes them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The order of channels.
    pub channels: Channels,
    /// What pixels are multiplied by.
    pub factor: f64,
    /// What is subtracted then.
    pub mean: [f64; 3],
    /// What the difference is divided by.
    pub deviation: [f64; 3],
}

/// A factor as libraries apply it.
#[derive(Debug, Clone, Copy)]
enum Scale {
    /// Over a number that is a half of a whole one: 255, 127.5.
    Over(f32),
    /// By any other.
    By(f32),
}

impl Scale {
    #[expect(clippy::cast_possible_truncation, reason = "networks take f32")]
    fn of(factor: f64) -> Self {
        let over = 1.0 / factor;
        let half = (over * 2.0).round() / 2.0;
        if half >= 1.0 && (over - half).abs() <= 1e-9 * half {
            Self::Over(half as f32)
        } else {
            Self::By(factor as f32)
        }
    }

    fn apply(self, pixel: f32) -> f32 {
        match self {
            Self::Over(number) => pixel / number,
            Self::By(factor) => pixel * factor,
        }
    }
}

/// Greatest number that a mean, a deviation or a factor can be: far above what 8-bit pixels have.
const MOST: f64 = 1e6;

impl Values {
    pub(super) fn check(&self) -> Result<(), PreparationError> {
        let numbers = |at: &str, least: f64, numbers: &[f64]| {
            let wrong = numbers.iter().find(|number| {
                let fits = number.is_finite() && number.abs() <= MOST && **number >= least;
                !fits
            });
            let expected = if least > 0.0 { "a finite number above 0" } else { "a finite number" };
            wrong.map_or(Ok(()), |number| {
                Err(PreparationError::new(at, format!("{expected}, at most {MOST}"), number.to_string()))
            })
        };
        numbers("values.factor", 1.0 / MOST, &[self.factor])?;
        numbers("values.mean", -MOST, &self.mean)?;
        numbers("values.deviation", 1.0 / MOST, &self.deviation)
    }

    /// The mode that this is, to the last digits that a file may write of it.
    #[must_use]
    pub fn mode(self) -> Option<Preprocessing> {
        Preprocessing::ALL.into_iter().find(|mode| mode.values().same(self))
    }

    /// Whether both give the same inputs, but for the last digits of the numbers.
    #[must_use]
    pub fn same(self, other: Self) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
        self.channels == other.channels
            && (0..3).all(|channel| {
                let ((p, r), (q, s)) = (self.affine(Some(channel)), other.affine(Some(channel)));
                near(p, q) && near(r, s)
            })
    }

    /// Factor and summand of one channel, in the order in which the network takes them; of their mean for [`None`].
    #[must_use]
    pub fn affine(self, channel: Option<usize>) -> (f64, f64) {
        let (mean, deviation) = self.of_channel(channel);
        (self.factor / deviation, -mean / deviation)
    }

    /// Mean and deviation of one channel; the means of both for [`None`].
    fn of_channel(self, channel: Option<usize>) -> (f64, f64) {
        let pick = |values: [f64; 3]| match channel {
            Some(channel) => values.get(channel).copied().unwrap_or_default(),
            None => values.iter().sum::<f64>() / 3.0,
        };
        (pick(self.mean), pick(self.deviation))
    }

    /// Pixels to a network's input. `pixels` is HWC in RGB order, or HW of a gray image; the result has
    /// `channels` planes in CHW order. A gray image for three channels is repeated first; for one channel
    /// the statistics of all three are averaged.
    ///
    /// Computed as Keras's `preprocess_input` and torchvision's `ToTensor` and `Normalize` do it, to the last bit: in f32,
    /// rounded after the factor, the mean and the deviation, and divided where the factor is one over 255 or 127.5.
    ///
    /// [`None`] unless `pixels` has `height * width` pixels of 1 or 3 channels, and the network takes 1 channel of a
    /// gray image or 3 of any.
    #[must_use]
    pub fn apply<T: Copy + Into<f32>>(
        self,
        pixels: &[T],
        height: usize,
        width: usize,
        channels: usize,
    ) -> Option<Vec<f32>> {
        let area = height.checked_mul(width).filter(|&area| area > 0)?;
        let given = pixels.len() / area;
        let fits = pixels.len() == area.checked_mul(given)? && matches!((given, channels), (1, 1) | (1 | 3, 3));
        if !fits {
            return None;
        }
        let scale = Scale::of(self.factor);
        let mut out = Vec::with_capacity(area * channels);
        for channel in 0..channels {
            let source = match (given, self.channels) {
                (1, _) => 0,
                (_, Channels::Bgr) => 2 - channel,
                (_, Channels::Rgb) => channel,
            };
            let (mean, deviation) = self.of_channel((channels == 3).then_some(channel));
            #[expect(clippy::cast_possible_truncation, reason = "networks take f32")]
            let (mean, deviation) = (mean as f32, deviation as f32);
            let pixel = |at: usize| -> f32 { pixels[at * given + source].into() };
            out.extend((0..area).map(|at| (scale.apply(pixel(at)) - mean) / deviation));
        }
        Some(out)
    }

    /// What it computes, for people.
    #[must_use]
    pub fn describe(self) -> String {
        // Numbers that only come to the same as those of a mode are shown as they are written.
        if let Some(mode) = Preprocessing::ALL.into_iter().find(|mode| mode.values() == self) {
            return mode.describe().to_owned();
        }
        let scaled = if self.factor.to_bits() == 1.0f64.to_bits() {
            "x".to_owned()
        } else if ((self.factor * 255.0) - 1.0).abs() < 1e-9 {
            "x / 255".to_owned()
        } else {
            format!("x * {}", self.factor)
        };
        let mut parts = vec![scaled];
        if self.channels == Channels::Bgr {
            parts.insert(0, "RGB to BGR".to_owned());
        }
        let list = |values: [f64; 3]| values.map(|value| value.to_string()).join(", ");
        if self.mean != [0.0; 3] {
            parts.push(format!("minus ({})", list(self.mean)));
        }
        if self.deviation != [1.0; 3] {
            parts.push(format!("by ({})", list(self.deviation)));
        }
        parts.join(", ")
    }
}

/// The mappings from pixels, 0 to 255 in RGB, to what a network takes, that residual networks were published with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preprocessing {
    /// RGB to BGR, minus the mean of ImageNet (103.939, 116.779, 123.68 in BGR); not scaled.
    Caffe,
    /// `x / 127.5 - 1`.
    Tf,
    /// `x / 255`, minus the mean (0.485, 0.456, 0.406) and divided by the deviation (0.229, 0.224, 0.225) of ImageNet.
    Torch,
    /// `x / 255`.
    Unit,
    /// As they are.
    Raw,
}

/// Mean of ImageNet's pixels in BGR, as Caffe's ResNets subtract it.
const CAFFE_MEAN_BGR: [f64; 3] = [103.939, 116.779, 123.68];
/// Mean of ImageNet's pixels, scaled to 0..1, in RGB.
const TORCH_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
/// Their standard deviation.
const TORCH_DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];

impl Preprocessing {
    /// All modes.
    pub const ALL: [Self; 5] = [Self::Caffe, Self::Tf, Self::Torch, Self::Unit, Self::Raw];

    /// Its name on the command line and in metadata.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Caffe => "caffe",
            Self::Tf => "tf",
            Self::Torch => "torch",
            Self::Unit => "unit",
            Self::Raw => "raw",
        }
    }

    /// The mode of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// What it computes, for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Caffe => "RGB to BGR, minus (103.939, 116.779, 123.68)",
            Self::Tf => "x / 127.5 - 1",
            Self::Torch => "x / 255, minus (0.485, 0.456, 0.406), by (0.229, 0.224, 0.225)",
            Self::Unit => "x / 255",
            Self::Raw => "0 to 255 as they are",
        }
    }

    /// What it computes.
    #[must_use]
    pub fn values(self) -> Values {
        let (channels, factor, mean, deviation) = match self {
            Self::Caffe => (Channels::Bgr, 1.0, CAFFE_MEAN_BGR, [1.0; 3]),
            Self::Tf => (Channels::Rgb, 1.0 / 127.5, [1.0; 3], [1.0; 3]),
            Self::Torch => (Channels::Rgb, 1.0 / 255.0, TORCH_MEAN, TORCH_DEVIATION),
            Self::Unit => (Channels::Rgb, 1.0 / 255.0, [0.0; 3], [1.0; 3]),
            Self::Raw => (Channels::Rgb, 1.0, [0.0; 3], [1.0; 3]),
        };
        Values { channels, factor, mean, deviation }
    }

    /// Factor and summand of one channel, in the order in which the network takes them; of their mean for [`None`].
    #[must_use]
    pub fn affine(self, channel: Option<usize>) -> (f64, f64) {
        self.values().affine(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_planes_in_the_order_of_the_network() {
        // One row of two pixels, red and blue.
        let pixels = [255_u8, 0, 0, 0, 0, 255];
        let close = |mode: Preprocessing, expected: [f32; 6]| {
            let found = mode.values().apply(&pixels, 1, 2, 3).unwrap();
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{mode:?} {found:?}");
        };
        close(Preprocessing::Raw, [255.0, 0.0, 0.0, 0.0, 0.0, 255.0]);
        close(Preprocessing::Unit, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        close(Preprocessing::Tf, [1.0, -1.0, -1.0, -1.0, -1.0, 1.0]);
        close(Preprocessing::Caffe, [-103.939, 151.061, -116.779, -116.779, 131.32, -123.68]);
        close(Preprocessing::Torch, [2.248_908, -2.117_904, -2.035_714, -2.035_714, -1.804_444, 2.64]);
    }

    const CHECKSUMS: [(Preprocessing, u32); 3] = [
        (Preprocessing::Caffe, 4_134_596_428),
        (Preprocessing::Tf, 1_908_874_893),
        (Preprocessing::Torch, 2_498_885_465),
    ];

    fn adler32(bytes: impl Iterator<Item = u8>) -> u32 {
        let (a, b) = bytes.fold((1_u32, 0_u32), |(a, b), byte| {
            let a = (a + u32::from(byte)) % 65521;
            (a, (b + a) % 65521)
        });
        b << 16 | a
    }

    /// `zlib.adler32` of the bytes that Keras 3.15.1's `preprocess_input` (numpy) and torchvision 0.29.1's `Normalize`
    /// behind a division by 255 give for all levels.
    #[test]
    fn values_are_those_of_the_frameworks_bit_by_bit() {
        let level = |at: usize| u8::try_from(at % 256).unwrap();
        let pixels: Vec<u8> = (0..256).flat_map(|at| [level(at), level(255 - at), level(at + 179)]).collect();
        for (mode, expected) in CHECKSUMS {
            let found = mode.values().apply(&pixels, 1, 256, 3).unwrap();
            assert_eq!(adler32(found.into_iter().flat_map(f32::to_le_bytes)), expected, "{mode:?}");
        }
    }

    #[test]
    fn gray_images_fill_one_channel_or_three_and_colour_needs_three() {
        let (unit, raw) = (Preprocessing::Unit.values(), Preprocessing::Raw.values());
        assert_eq!(unit.apply(&[0_u8, 255], 2, 1, 1), Some(vec![0.0, 1.0]));
        assert_eq!(raw.apply(&[7_u8, 9], 1, 2, 3), Some(vec![7.0, 9.0, 7.0, 9.0, 7.0, 9.0]));
        assert_eq!(raw.apply(&[1_u8, 2, 3], 1, 1, 1), None);
        assert_eq!(raw.apply(&[1_u8, 2, 3], 2, 1, 3), None);
        assert_eq!(raw.apply::<u8>(&[], 0, 0, 3), None);
    }

    #[test]
    fn halves_as_mean_and_deviation_are_a_mode_that_is_known() {
        let halves = |factor: f64| Values { channels: Channels::Rgb, factor, mean: [0.5; 3], deviation: [0.5; 3] };
        // Transformers writes the factor with 16 digits.
        assert_eq!(halves(0.003_921_568_627_450_98).mode(), Some(Preprocessing::Tf));
        assert_eq!(halves(1.0 / 256.0).mode(), None);
        assert_eq!(halves(1.0 / 255.0).describe(), "x / 255, minus (0.5, 0.5, 0.5), by (0.5, 0.5, 0.5)");
        assert_eq!(Preprocessing::Tf.values().describe(), "x / 127.5 - 1");
        let other = Values { mean: [0.5, 0.4, 0.25], deviation: [0.2, 0.25, 1.0], ..Preprocessing::Unit.values() };
        assert_eq!(other.describe(), "x / 255, minus (0.5, 0.4, 0.25), by (0.2, 0.25, 1)");
    }
}
