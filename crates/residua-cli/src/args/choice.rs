//! Values of the library that have names, as options.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use residua::options::Choice;

/// Takes the names of a [`Choice`], with what each means in the help.
pub(crate) fn choice<T: Choice>() -> impl TypedValueParser<Value = T> {
    let value = |choice: &T| match choice.about() {
        "" => PossibleValue::new(choice.name()),
        about => PossibleValue::new(choice.name()).help(about),
    };
    let values: Vec<PossibleValue> = T::ALL.iter().map(value).collect();
    PossibleValuesParser::new(values).try_map(|name| T::named(&name).ok_or("no such value"))
}
