//! Options as text, as a command line and `residua.toml` have them: each function says what it expected where a text is
//! something else.

use residua_ir::preparation::{Crop, MAX_SIDE, Middle, Resize};
use residua_ir::{Activation, Level};
use residua_resnet::recognise::{GivenDilation, GivenStem, StemPool};

use super::{ImageCrop, InputShape};
#[cfg(feature = "writers")]
use crate::suggest;

/// A stride for each stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strides(pub Vec<usize>);

/// Dilations for each stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageDilations(pub Vec<GivenDilation>);

/// More than any network has; sizes are computed of it.
const MOST: usize = 256;

fn count(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|number| (1..=MOST).contains(number))
}

/// A stride for each stage: `1,2,2,1`.
///
/// # Errors
/// What was expected.
pub fn strides(text: &str) -> Result<Strides, String> {
    let strides: Option<Vec<usize>> = text.split(',').map(count).collect();
    let expected = "expected a stride for each stage between commas, such as 1,2,2,1";
    strides.map(Strides).ok_or_else(|| expected.to_owned())
}

/// The stride of a whole network: `16`.
///
/// # Errors
/// What was expected.
pub fn output_stride(text: &str) -> Result<usize, String> {
    count(text).ok_or_else(|| "expected the stride of the whole network, such as 8 or 16".to_owned())
}

/// A dilation for each stage, or for each of its blocks between colons: `1,1,2:2,4:8:16`.
///
/// # Errors
/// What was expected.
pub fn dilations(text: &str) -> Result<StageDilations, String> {
    let stage = |text: &str| match text.contains(':') {
        true => text.split(':').map(count).collect::<Option<Vec<usize>>>().map(GivenDilation::Blocks),
        false => count(text).map(GivenDilation::Stage),
    };
    let stages: Option<Vec<GivenDilation>> = text.split(',').map(stage).collect();
    let expected = "expected a dilation for each stage between commas, such as 1,1,2,4, or one for each of its blocks between colons, \
                    such as 1,1,2:2,4:4";
    stages.map(StageDilations).ok_or_else(|| expected.to_owned())
}

/// Stride of the first convolution, the pool behind it, or both: `1,nopool`.
///
/// # Errors
/// What was expected.
pub fn stem(text: &str) -> Result<GivenStem, String> {
    let expected = || {
        "expected the stride of the first convolution, the pool behind it (pool, nopool, pool2x2, pool-ceil), or both, such as 2,pool \
         or 1,nopool"
            .to_owned()
    };
    let mut stem = GivenStem::default();
    for part in text.split([',', '+']) {
        let pool = match part.trim() {
            "nopool" => Some(StemPool::None),
            "pool" => Some(StemPool::Usual),
            "pool-ceil" => Some(StemPool::Ceil),
            "pool2x2" => Some(StemPool::Two),
            _ => None,
        };
        let stride = count(part);
        let twice = pool.is_some() && stem.pool.is_some() || stride.is_some() && stem.stride.is_some();
        if twice || pool.is_none() && stride.is_none() {
            return Err(expected());
        }
        stem = GivenStem { stride: stem.stride.or(stride), pool: stem.pool.or(pool) };
    }
    Ok(stem)
}

/// An activation, with its number where it has one: `leaky_relu=0.1`.
///
/// # Errors
/// What was expected.
pub fn activation(text: &str) -> Result<Activation, String> {
    let (name, number) = match text.split_once('=') {
        Some((name, number)) => {
            let number = number.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            (name, Some(number.ok_or_else(|| "expected a number behind `=`, such as leaky_relu=0.2".to_owned())?))
        }
        None => (text, None),
    };
    let activation = match (name.trim().to_ascii_lowercase().replace('-', "_").as_str(), number) {
        ("relu", None) => Activation::RELU,
        ("relu6", None) => Activation::RELU6,
        ("leaky_relu", slope) => Activation::leaky_relu(slope.unwrap_or(0.01)),
        ("elu", alpha) => Activation::Elu { alpha: alpha.unwrap_or(1.0) },
        ("selu", None) => Activation::Selu,
        ("silu" | "swish", None) => Activation::Silu,
        ("gelu", None) => Activation::Gelu { tanh_approximation: false },
        ("gelu_tanh", None) => Activation::Gelu { tanh_approximation: true },
        ("mish", None) => Activation::Mish,
        ("hardswish", None) => Activation::HardSwish,
        ("tanh", None) => Activation::Tanh,
        ("sigmoid", None) => Activation::Sigmoid,
        _ => {
            return Err(
                "expected relu, relu6, leaky_relu[=SLOPE], elu[=ALPHA], selu, silu, gelu, gelu_tanh, mish, hardswish, \
                        tanh or sigmoid"
                    .to_owned(),
            );
        }
    };
    Ok(activation)
}

/// The epsilon of a norm: 0, or a number below 1.
///
/// # Errors
/// What was expected.
pub fn epsilon(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) && value.is_sign_positive() => Ok(value),
        Ok(_) | Err(_) => Err("expected 0, or a number between 0 and 1 such as 1e-5".to_owned()),
    }
}

/// Sizes of an input, with its name or without: `1,3,224,224`, `x=1,224,224,3`.
///
/// # Errors
/// What was expected.
pub fn shape(text: &str) -> Result<InputShape, String> {
    let (name, sizes) = match text.rsplit_once('=') {
        Some((name, sizes)) => (Some(name.to_owned()), sizes),
        None => (None, text),
    };
    let shape: Option<Vec<usize>> = sizes
        .split([',', 'x'])
        .map(|size| size.trim().parse().ok().filter(|size| (1..=1 << 24).contains(size)))
        .collect();
    let shape = shape.ok_or("expected sizes of at least 1 between commas, such as 1,224,224,3")?;
    Ok(InputShape { name, shape })
}

/// A largest difference: a finite number of at least 0.
///
/// # Errors
/// What was expected.
pub fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        Ok(_) | Err(_) => Err("expected a number of at least 0, such as 1e-5".to_owned()),
    }
}

fn side(text: &str) -> Option<usize> {
    text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side))
}

/// Rows and columns of `HxW`.
fn sides(text: &str) -> Option<(usize, usize)> {
    let (height, width) = text.split_once(['x', ','])?;
    Some((side(height)?, side(width)?))
}

/// How an image is brought to size: `256`, `256x320`, `none`.
///
/// # Errors
/// What was expected.
pub fn resize(text: &str) -> Result<Resize, String> {
    let rule = match (text, side(text), sides(text)) {
        ("none", ..) => Some(Resize::Keep),
        (_, Some(edge), _) => Some(Resize::Shortest { edge }),
        (.., Some((height, width))) => Some(Resize::Exact { height, width }),
        (.., None) => None,
    };
    rule.ok_or_else(|| format!("expected a size from 1 to {MAX_SIDE} such as 256, two such as 256x320, or `none`"))
}

/// What is cut out of an image: `224`, `224x288`, `none`, a share such as `0.875`.
///
/// # Errors
/// What was expected.
pub fn crop(text: &str) -> Result<ImageCrop, String> {
    let middle = |height, width| Crop::Center { height, width, rounding: Middle::HalfToEven, fill: [0; 3] };
    if text == "none" {
        return Ok(ImageCrop::Rule(Crop::All));
    }
    // One pixel is no crop that anybody wants, and 1 has always been the whole of the shorter side.
    if let Some(side) = side(text).filter(|&side| side > 1) {
        return Ok(ImageCrop::Rule(middle(side, side)));
    }
    if let Some((height, width)) = sides(text) {
        return Ok(ImageCrop::Rule(middle(height, width)));
    }
    match text.parse::<f64>() {
        Ok(share) if share > 0.1 && share <= 1.0 => Ok(ImageCrop::Share(share)),
        Ok(_) | Err(_) => Err(format!(
            "expected a number of pixels from 2 to {MAX_SIDE}, two such as 224x288, `none`, or a fraction above 0.1 and at \
             most 1, such as 0.875"
        )),
    }
}

/// The runtime of a name.
///
/// # Errors
/// What was expected, and what was probably meant.
#[cfg(feature = "writers")]
pub fn target(text: &str) -> Result<&'static residua_verify::targets::Runtime, String> {
    residua_verify::targets::named(text).ok_or_else(|| {
        let names: Vec<&str> = residua_verify::targets::all().map(|runtime| runtime.name).collect();
        let meant = match suggest::nearest(text, names.iter().copied())[..] {
            [] => ";".to_owned(),
            [nearest, ..] => format!("; did you mean `{nearest}`?"),
        };
        format!("there is no runtime `{text}`{meant} known are {}", names.join(", "))
    })
}

/// The code that an id or a name means.
///
/// # Errors
/// What was expected, and what was probably meant.
#[cfg(feature = "writers")]
pub fn code(text: &str) -> Result<&'static residua_ir::Code, String> {
    residua_verify::code(text).ok_or_else(|| {
        let names = residua_verify::codes().into_iter().flat_map(|code| [code.id, code.name]);
        format!("there is no finding `{text}`{}", suggest::hint(text, names))
    })
}

/// A level, or `off`.
///
/// # Errors
/// What was expected, and what was probably meant.
pub fn level(text: &str) -> Result<Option<Level>, String> {
    match text {
        "off" => Ok(None),
        "note" => Ok(Some(Level::Note)),
        "warning" => Ok(Some(Level::Warning)),
        "error" => Ok(Some(Level::Error)),
        _ => Err(format!("expected off, note, warning or error, found `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epsilon_is_zero_or_a_small_positive_number() {
        assert_eq!(epsilon("1e-5"), Ok(1e-5));
        for zero in ["0", "0.0"] {
            assert_eq!(epsilon(zero), Ok(0.0), "{zero}");
        }
        for bad in ["-0", "-1e-5", "nan", "NaN", "inf", "1", "x", ""] {
            assert!(epsilon(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn strides_and_dilations_are_lists_over_stages() {
        assert_eq!(strides("1,2, 2,1"), Ok(Strides(vec![1, 2, 2, 1])));
        let stages = [1, 1].map(GivenDilation::Stage).to_vec();
        let blocks = [vec![2, 2], vec![4, 8, 16]].map(GivenDilation::Blocks).to_vec();
        assert_eq!(dilations("1,1,2:2,4:8:16"), Ok(StageDilations([stages, blocks].concat())));
        for bad in ["", "1,,2", "0,1", "-1", "1,x", "999", "1;2"] {
            assert!(strides(bad).is_err() && dilations(bad).is_err(), "{bad}");
        }
        assert!(dilations("1:,2").is_err() && output_stride("0").is_err());
    }

    #[test]
    fn a_stem_is_a_stride_a_pool_or_both() {
        let expected = |stride: Option<usize>, pool: Option<StemPool>| Ok(GivenStem { stride, pool });
        assert_eq!(stem("2"), expected(Some(2), None));
        assert_eq!(stem("nopool"), expected(None, Some(StemPool::None)));
        assert_eq!(stem("1+pool"), expected(Some(1), Some(StemPool::Usual)));
        assert_eq!(stem("pool2x2, 1"), expected(Some(1), Some(StemPool::Two)));
        for bad in ["", "1,2", "pool,nopool", "0", "max", "1,"] {
            assert!(stem(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn activations_may_have_a_number() {
        assert_eq!(activation("leaky_relu=0.2"), Ok(Activation::leaky_relu(0.2)));
        assert_eq!(activation("SiLU"), Ok(Activation::Silu));
        for bad in ["relu=1", "leaky_relu=x", "leaky_relu=nan", "prelu", ""] {
            assert!(activation(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shapes_are_read_with_and_without_the_name_of_an_input() {
        let expected = |name: Option<&str>| InputShape { name: name.map(str::to_owned), shape: vec![1, 3, 224, 224] };
        assert_eq!(shape("1,3,224,224"), Ok(expected(None)));
        assert_eq!(shape("1x3x224x224"), Ok(expected(None)));
        assert_eq!(shape("x:0=1, 3, 224, 224"), Ok(expected(Some("x:0"))));
        for bad in ["", "1,,2", "0,3", "1,-3", "N,3", "1,99999999999"] {
            assert!(shape(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tolerance_is_a_finite_number_of_at_least_zero() {
        assert_eq!(tolerance("1e-5"), Ok(1e-5));
        for bad in ["-1", "nan", "inf", "x"] {
            assert!(tolerance(bad).is_err(), "{bad}");
        }
    }

    #[cfg(feature = "writers")]
    #[test]
    fn a_runtime_that_is_not_known_is_answered_with_those_that_are() {
        assert_eq!(target("tract").unwrap().name, "tract");
        let error = target("onnxruntime").unwrap_err();
        assert!(error.starts_with("there is no runtime `onnxruntime`"), "{error}");
        assert!(error.contains("candle, burn, tract, rten") && error.ends_with("ort-1.32"), "{error}");
        assert!(target("tracht").unwrap_err().contains("did you mean `tract`?"));
    }

    #[test]
    fn a_crop_is_pixels_or_a_fraction() {
        let middle = |height, width| {
            Ok(ImageCrop::Rule(Crop::Center { height, width, rounding: Middle::HalfToEven, fill: [0; 3] }))
        };
        assert_eq!(crop("224"), middle(224, 224));
        assert_eq!(crop("224x288"), middle(224, 288));
        assert_eq!(crop("0.875"), Ok(ImageCrop::Share(0.875)));
        assert_eq!(crop("1"), Ok(ImageCrop::Share(1.0)));
        assert_eq!(crop("none"), Ok(ImageCrop::Rule(Crop::All)));
        for bad in ["0", "0.05", "1.5", "nan", "x"] {
            assert!(crop(bad).is_err(), "{bad}");
        }
    }
}
