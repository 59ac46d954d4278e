//! Values of the options about what weights leave open: strides, dilations, stems, activations, epsilons.

use residua_ir::Activation;
use residua_resnet::recognise::{GivenDilation, GivenStem, StemPool};

/// A stride for each stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Strides(pub(crate) Vec<usize>);

/// Dilations for each stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StageDilations(pub(crate) Vec<GivenDilation>);

/// More than any network has; sizes are computed of it.
const MOST: usize = 256;

fn count(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|number| (1..=MOST).contains(number))
}

pub(crate) fn parse_strides(text: &str) -> Result<Strides, String> {
    let strides: Option<Vec<usize>> = text.split(',').map(count).collect();
    let expected = "expected a stride for each stage between commas, such as 1,2,2,1";
    strides.map(Strides).ok_or_else(|| expected.to_owned())
}

pub(crate) fn parse_output_stride(text: &str) -> Result<usize, String> {
    count(text).ok_or_else(|| "expected the stride of the whole network, such as 8 or 16".to_owned())
}

pub(crate) fn parse_dilations(text: &str) -> Result<StageDilations, String> {
    let stage = |text: &str| match text.contains(':') {
        true => text.split(':').map(count).collect::<Option<Vec<usize>>>().map(GivenDilation::Blocks),
        false => count(text).map(GivenDilation::Stage),
    };
    let stages: Option<Vec<GivenDilation>> = text.split(',').map(stage).collect();
    let expected = "expected a dilation for each stage between commas, such as 1,1,2,4, or one for each of its blocks between colons, \
                    such as 1,1,2:2,4:4";
    stages.map(StageDilations).ok_or_else(|| expected.to_owned())
}

pub(crate) fn parse_stem(text: &str) -> Result<GivenStem, String> {
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

pub(crate) fn parse_activation(text: &str) -> Result<Activation, String> {
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

pub(crate) fn parse_epsilon(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) && value.is_sign_positive() => Ok(value),
        Ok(_) | Err(_) => Err("expected 0, or a number between 0 and 1 such as 1e-5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epsilon_is_zero_or_a_small_positive_number() {
        assert_eq!(parse_epsilon("1e-5"), Ok(1e-5));
        for zero in ["0", "0.0"] {
            assert_eq!(parse_epsilon(zero), Ok(0.0), "{zero}");
        }
        for bad in ["-0", "-1e-5", "nan", "NaN", "inf", "1", "x", ""] {
            assert!(parse_epsilon(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn strides_and_dilations_are_lists_over_stages() {
        assert_eq!(parse_strides("1,2, 2,1"), Ok(Strides(vec![1, 2, 2, 1])));
        let stages = [1, 1].map(GivenDilation::Stage).to_vec();
        let blocks = [vec![2, 2], vec![4, 8, 16]].map(GivenDilation::Blocks).to_vec();
        assert_eq!(parse_dilations("1,1,2:2,4:8:16"), Ok(StageDilations([stages, blocks].concat())));
        for bad in ["", "1,,2", "0,1", "-1", "1,x", "999", "1;2"] {
            assert!(parse_strides(bad).is_err() && parse_dilations(bad).is_err(), "{bad}");
        }
        assert!(parse_dilations("1:,2").is_err() && parse_output_stride("0").is_err());
    }

    #[test]
    fn a_stem_is_a_stride_a_pool_or_both() {
        let stem = |stride: Option<usize>, pool: Option<StemPool>| Ok(GivenStem { stride, pool });
        assert_eq!(parse_stem("2"), stem(Some(2), None));
        assert_eq!(parse_stem("nopool"), stem(None, Some(StemPool::None)));
        assert_eq!(parse_stem("1+pool"), stem(Some(1), Some(StemPool::Usual)));
        assert_eq!(parse_stem("pool2x2, 1"), stem(Some(1), Some(StemPool::Two)));
        for bad in ["", "1,2", "pool,nopool", "0", "max", "1,"] {
            assert!(parse_stem(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn activations_may_have_a_number() {
        assert_eq!(parse_activation("leaky_relu=0.2"), Ok(Activation::leaky_relu(0.2)));
        assert_eq!(parse_activation("SiLU"), Ok(Activation::Silu));
        for bad in ["relu=1", "leaky_relu=x", "leaky_relu=nan", "prelu", ""] {
            assert!(parse_activation(bad).is_err(), "{bad}");
        }
    }
}
