//! Steps of code: what is called on what, before it is laid out.

/// Why a runtime does not compute an operator, in words that follow its name.
pub(crate) type Refusal = &'static str;

/// One step of code. Its text ends before the `?`, where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Code {
    /// Calls of methods, each but the last with its `?`.
    Chain(String, Vec<String>),
    /// A call of a function.
    Call(String, Vec<String>),
    /// A list of tensors that are joined along an axis.
    Cat(Vec<String>, usize),
    /// An operator between two.
    Infix(String, &'static str, String),
    /// The value itself.
    Same,
}

/// Steps, each with the name of what it gives; the last one is the result.
pub(crate) type Steps = Vec<(Option<&'static str>, Code)>;

/// The function of `ops` that a step calls.
pub(crate) fn helper(code: &Code) -> Option<&str> {
    match code {
        Code::Call(name, _) => name.strip_prefix("ops::"),
        Code::Chain(..) | Code::Cat(..) | Code::Infix(..) | Code::Same => None,
    }
}

/// One step.
pub(crate) fn one(code: Code) -> Steps {
    vec![(None, code)]
}

/// `[a, b]`.
pub(crate) fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}
