//! Whether weights load where a network does not belong: every tensor that the code asks for is there in its shape.

use residua_ir::{Checked, validate};

use super::{Problem, channels, outside_of_forms, recipe};
use crate::anatomy::Anatomy;
use crate::form::Form;
use crate::hold::source::Tensors;
use crate::layouts::{Kin, Zoo};
use crate::recipe::Bound;

/// Whether model code of a zoo finds all its tensors in a network, in the shapes that it makes, whatever the network
/// does with them. Of one that the zoo cannot [hold](super::hold()) this says that the code loads it, and computes
/// something else.
#[must_use]
pub fn fits_by_shapes(model: &Checked, anatomy: &Anatomy, zoo: &Zoo) -> bool {
    let Some(form) = Form::observed(anatomy) else { return false };
    let fits = |kin: &Kin| {
        let form = as_built(&form, kin);
        let ends = kin.ends(channels(anatomy), !anatomy.head.dense.is_empty(), anatomy.head.pool.is_some());
        let first_stride = kin.conventions.first_stride;
        ends.is_ok() && kin.settings(&form, first_stride).is_ok() && finds_all(model, anatomy, &form, kin)
    };
    outside_of_forms(model, anatomy).is_empty() && zoo.kins.iter().any(|kin| fits(kin))
}

/// A form with all of what shows in no shape as the code has it. Tensors that the code does not ask for, such as those of
/// gates, it does not miss.
fn as_built(form: &Form, kin: &Kin) -> Form {
    let can = &kin.can;
    Form {
        stride_on: can.stride_on.first().map_or(form.stride_on, |(conv, _)| *conv),
        stride_in: can.stride_in,
        squeeze_excite: form.squeeze_excite && can.gates,
        pooled_shortcut: can.pooled,
        blurred: false,
        ..form.clone()
    }
}

fn finds_all(model: &Checked, anatomy: &Anatomy, form: &Form, kin: &Kin) -> bool {
    let tensors = Tensors::new(model, anatomy);
    let recipe = recipe(model, anatomy, form, kin, &tensors);
    let built = recipe.build::<Problem>(Default::default(), Vec::new(), &mut |wanted| {
        let tensor = tensors.find(&recipe, wanted)?.tensor;
        Ok(Bound { tensor, name: wanted.slot.to_string(), location: String::new() })
    });
    built.is_ok_and(|graph| validate(graph).is_ok())
}
