//! Weights that are infinite or no number.

use residua_ir::{Code, Finding, Level};

use crate::Subject;

pub(super) static CODE: Code = Code {
    id: "R301",
    name: "non-finite-weight",
    level: Level::Error,
    explanation: "A tensor holds values that are infinite or NaN. Everything the layer computes, and everything behind \
it, is then NaN as well.\n\nTraining that diverged leaves such weights, and so does a value beyond the range of \
float16. Take an earlier checkpoint.",
};

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (parameter, statistics) in subject.statistics() {
        if let Ok(found) = statistics
            && found.non_finite > 0
        {
            findings.push(Finding {
                code: &CODE,
                message: format!(
                    "{} of the {} values of `{}` are infinite or NaN",
                    found.non_finite,
                    parameter.tensor.len(),
                    parameter.name
                ),
                node: Some(subject.model.graph().layer(parameter.layer).name.clone()),
                help: "take an earlier checkpoint, or convert with a wider float type".into(),
            });
        }
    }
}
