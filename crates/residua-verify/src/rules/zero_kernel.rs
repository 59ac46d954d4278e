//! Kernels that are zero throughout.

use residua_ir::{Code, Finding, Level, Role};

use crate::Subject;

pub(super) static CODE: Code = Code {
    id: "R303",
    name: "zero-kernel",
    level: Level::Warning,
    explanation: "All values of a kernel are zero, so the layer passes nothing on but its bias. Readers that fail \
silently leave such tensors; so does a checkpoint that was saved before its weights were loaded.\n\nRead the file with \
the framework that wrote it and compare.",
};

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (parameter, statistics) in subject.statistics() {
        let kernel = parameter.role == Role::Weight && parameter.tensor.shape().len() > 1;
        if let Ok(found) = statistics
            && kernel
            && found.non_finite == 0
            && found.min == 0.0
            && found.max == 0.0
        {
            findings.push(Finding {
                code: &CODE,
                message: format!("all {} values of `{}` are zero", parameter.tensor.len(), parameter.name),
                node: Some(subject.model.graph().layer(parameter.layer).name.clone()),
                help: "compare with what the framework that wrote the file reads".into(),
            });
        }
    }
}
