//! The numbers in which parts that are alike differ, and what they are called.

use crate::form::{Kind, Number, Parameter};
use crate::ident::Names;

/// Numbers of one place in all instances; `None` where an instance has no such place.
pub(super) type Column = Vec<Option<usize>>;

/// The parameters of a module, as they are found.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) found: Vec<(Kind, Column)>,
}

impl Parameters {
    /// The number of a place with these values.
    pub(super) fn number(&mut self, kind: Kind, column: Column) -> Number {
        let mut known = column.iter().flatten();
        let first = known.next().copied().unwrap_or_default();
        if known.all(|value| *value == first) {
            return Number::Fixed(first);
        }
        let agrees = |(of, other): &(Kind, Column)| {
            of.is_like(kind) && other.iter().zip(&column).all(|pair| !matches!(pair, (Some(a), Some(b)) if a != b))
        };
        if let Some(at) = self.found.iter().position(agrees) {
            for (place, value) in self.found[at].1.iter_mut().zip(&column) {
                *place = place.or(*value);
            }
            return Number::Parameter(at);
        }
        self.found.push((kind, column));
        Number::Parameter(self.found.len() - 1)
    }

    /// With names. `ends` are the channels that go into each instance and that come out, where they are known.
    pub(super) fn named(&self, ends: &[Column; 2]) -> Vec<Parameter> {
        let is_size = |kind: Kind| kind.is_like(Kind::Size);
        let same = |column: &Column, end: &Column| {
            let known: Vec<_> = column.iter().zip(end).filter(|(value, _)| value.is_some()).collect();
            !known.is_empty() && known.iter().all(|(value, end)| value == end)
        };
        let of_end = |end: &Column| self.found.iter().position(|(kind, column)| is_size(*kind) && same(column, end));
        let [first, last] = [of_end(&ends[0]), of_end(&ends[1])];
        let mut names = Names::default();
        let named = self.found.iter().enumerate().map(|(at, (kind, _))| {
            let wanted = match kind {
                Kind::Inputs | Kind::Outputs | Kind::Size => match (Some(at) == first, Some(at) == last) {
                    (true, true) => "channels",
                    (true, false) => "inputs",
                    (false, true) => "outputs",
                    (false, false) => "width",
                },
                Kind::Kernel => "kernel",
                Kind::Stride => "stride",
                Kind::Padding => "padding",
                Kind::Dilation => "dilation",
                Kind::Groups => "groups",
                Kind::Arm(_) => "shortcut",
            };
            Parameter { name: names.snake(wanted, "number"), kind: *kind }
        });
        named.collect()
    }
}
