//! Pickles that would run code where Python loads them.

use residua_ir::{Code, Finding, Level};

use crate::Subject;

pub(super) static CODE: Code = Code {
    id: "R107",
    name: "pickle-calls-code",
    level: Level::Warning,
    explanation: "A PyTorch file is a pickle, and a pickle is a program: where Python loads it, it calls what the file \
names. This one names something that is no constructor of plain data. Here nothing is ever called, so the weights are \
what they are; but whoever opens the file with `torch.load(weights_only=False)` runs that call.\n\nConvert the file to \
safetensors, which can hold no code, and ask where it came from. A harmless class of somebody's training script is \
named here as well: nobody can tell from its name what it does.",
};

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    findings.extend(subject.model.graph().source().dangers.iter().map(|danger| Finding {
        code: &CODE,
        message: format!("where Python loads this file, {danger}"),
        node: None,
        help: "convert it to safetensors, and do not load it with `weights_only=False`".into(),
    }));
}
