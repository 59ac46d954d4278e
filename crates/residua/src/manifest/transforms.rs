//! Transforms as text: what [`Transform`] prints, read back.

use residua_ir::{DType, Transform};

/// Most axes of a shape or permutation; no tensor of a network has more than a few.
const MAX_AXES: usize = 32;

/// What a text means; an error for what is no transform.
pub(super) fn parse(text: &str) -> Result<Transform, String> {
    let unknown = || {
        let shown: String = text.chars().take(80).collect();
        format!("expected permute(…), reshape(…), cast(…) or computed(…), found `{shown}`")
    };
    let (name, rest) = text.split_once('(').ok_or_else(unknown)?;
    let operand = rest.strip_suffix(')').ok_or_else(unknown)?;
    match name {
        "permute" => Ok(Transform::Permute(list(operand).ok_or_else(unknown)?)),
        "reshape" => Ok(Transform::Reshape(list(operand).ok_or_else(unknown)?)),
        "cast" => {
            let dtype: Option<DType> = serde_json::from_value(operand.into()).ok();
            Ok(Transform::Cast(dtype.filter(|dtype| dtype.is_float()).ok_or_else(unknown)?))
        }
        "computed" => Ok(Transform::Computed(operand.to_owned())),
        _ => Err(unknown()),
    }
}

fn list(text: &str) -> Option<Vec<usize>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let numbers: Option<Vec<usize>> = text.split(',').take(MAX_AXES + 1).map(|number| number.parse().ok()).collect();
    numbers.filter(|numbers| numbers.len() <= MAX_AXES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        for transform in [
            Transform::Permute(vec![3, 2, 0, 1]),
            Transform::Reshape(Vec::new()),
            Transform::Reshape(vec![7, 1]),
            Transform::Cast(DType::BF16),
            Transform::Computed("weight * factor (eps=1e-5)".to_owned()),
        ] {
            assert_eq!(parse(&transform.to_string()), Ok(transform));
        }
    }

    #[test]
    fn what_is_no_transform_is_refused() {
        let long = format!("permute({})", vec!["0"; 40].join(","));
        for text in
            ["", "permute", "permute(", "permute(-1)", "permute(0,)", "cast(i64)", "cast(f31)", "turn(1)", &long]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
