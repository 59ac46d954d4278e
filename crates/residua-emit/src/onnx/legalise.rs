//! Opset legalisation: operators as older operator sets have them. Numbers that are operands today were attributes before
//! opset 13.
//!
//! A node comes here as it is written today, and leaves in the form that its operator set has. Constants that become
//! attributes are taken out of the initializers again: they were made for this node alone.
//!
//! Source: the history of operator schemas of onnx 1.23 (`onnx.defs.get_all_schemas_with_history`).

use residua_formats::onnx::schema::AttributeProto;
use residua_ir::DType;

use super::proto::{self, float, int};
use super::tensors::Tensors;
use super::version::TooOld;

/// A node in the making.
pub(super) struct Form {
    pub(super) op: String,
    pub(super) inputs: Vec<String>,
    pub(super) attributes: Vec<AttributeProto>,
}

/// What a node is written for.
#[derive(Clone, Copy)]
pub(super) struct Target {
    /// Operator set.
    pub(super) opset: i64,
    /// Type of its reals.
    pub(super) float: DType,
}

/// The form that the operator set has.
pub(super) fn legalise(tensors: &mut Tensors, target: Target, form: Form) -> Result<Form, TooOld> {
    let opset = target.opset;
    if opset >= 13 {
        return Ok(form);
    }
    let mut node = Legalisation { tensors, target, form };
    match node.form.op.as_str() {
        "Squeeze" | "Unsqueeze" | "ReduceSum" => node.list_becomes(1, "axes", 13)?,
        "QuantizeLinear" | "DequantizeLinear" => node.refuse("axis", "a scale for each channel", 13)?,
        "ArgMax" | "ArgMin" if opset < 12 => node.refuse("select_last_index", "the last of equals", 12)?,
        "GatherND" if opset < 12 && node.int("batch_dims") != Some(0) => {
            node.refuse("batch_dims", "gathering for each of a batch", 12)?
        }
        "GatherND" if opset < 12 => node.drop("batch_dims"),
        "Pad" if opset < 11 => {
            node.list_becomes(1, "pads", 11)?;
            node.number_becomes(1, "value", 11)?;
        }
        "Clip" if opset < 11 => {
            node.number_becomes(2, "max", 11)?;
            node.number_becomes(1, "min", 11)?;
        }
        "Gemm" if opset < 11 => node.bias()?,
        "TopK" if opset < 11 => node.top_k()?,
        "Resize" if opset < 11 => node.resize()?,
        "Resize" => node.nothing_left_out()?,
        "Slice" if opset < 10 => node.slice()?,
        "MaxPool" | "AveragePool" if opset < 10 => {
            node.refuse("ceil_mode", "rounding its size up", 10)?;
            node.refuse("dilations", "dilation", 10)?;
        }
        _ => {}
    }
    Ok(node.form)
}

struct Legalisation<'a> {
    tensors: &'a mut Tensors,
    target: Target,
    form: Form,
}

impl Legalisation<'_> {
    fn too_old(&self, what: &str, since: i64) -> TooOld {
        TooOld::new(what, since, self.target.opset)
    }

    fn int(&self, name: &str) -> Option<i64> {
        self.form.attributes.iter().find(|attribute| attribute.name == name).and_then(|attribute| attribute.i)
    }

    fn drop(&mut self, name: &str) {
        self.form.attributes.retain(|attribute| attribute.name != name);
    }

    /// Refuses an attribute that the operator set lacks.
    fn refuse(&self, name: &str, what: &str, since: i64) -> Result<(), TooOld> {
        if self.form.attributes.iter().any(|attribute| attribute.name == name) {
            return Err(self.too_old(what, since));
        }
        Ok(())
    }

    /// Takes the constant that an operand is; `None` where the operand was left out.
    fn take(&mut self, at: usize, since: i64) -> Result<Option<residua_ir::Tensor>, TooOld> {
        if at >= self.form.inputs.len() {
            return Ok(None);
        }
        let name = self.form.inputs.remove(at);
        if name.is_empty() {
            return Ok(None);
        }
        let tensor = self.tensors.take_constant(&name);
        tensor.map(Some).ok_or_else(|| self.too_old("a number that is computed when it is run", since))
    }

    fn list(&mut self, at: usize, since: i64) -> Result<Option<Vec<i64>>, TooOld> {
        let Some(tensor) = self.take(at, since)? else { return Ok(None) };
        tensor.to_i64().map(Some).map_err(|_| self.too_old("its list", since))
    }

    fn numbers(&mut self, at: usize, since: i64) -> Result<Option<Vec<f64>>, TooOld> {
        let Some(tensor) = self.take(at, since)? else { return Ok(None) };
        tensor.to_f64().map(Some).map_err(|_| self.too_old("its number", since))
    }

    /// A list becomes an attribute.
    fn list_becomes(&mut self, at: usize, name: &str, since: i64) -> Result<(), TooOld> {
        if let Some(list) = self.list(at, since)? {
            self.form.attributes.push(proto::list(name, list));
        }
        Ok(())
    }

    /// A number becomes an attribute.
    fn number_becomes(&mut self, at: usize, name: &str, since: i64) -> Result<(), TooOld> {
        if let Some(&[number]) = self.numbers(at, since)?.as_deref() {
            self.form.attributes.push(float(name, number));
        }
        Ok(())
    }

    /// A bias of zeros, where there is none: it could not be left out.
    fn bias(&mut self) -> Result<(), TooOld> {
        if self.form.inputs.len() > 2 {
            return Ok(());
        }
        let axis = usize::from(self.int("transB") != Some(1));
        let columns = self.form.inputs.get(1).and_then(|weight| self.tensors.size_of(weight, axis));
        let columns = columns.ok_or_else(|| self.too_old("a product without a bias", 11))?;
        let zeros = self.tensors.zeros(&format!("{}/bias", self.form.inputs[0]), self.target.float, vec![columns]);
        self.form.inputs.push(zeros.map_err(|_| self.too_old("a product without a bias", 11))?);
        Ok(())
    }

    /// Only the largest could be asked for; they always came sorted. The count was an attribute before opset 10.
    fn top_k(&mut self) -> Result<(), TooOld> {
        if self.int("largest") == Some(0) {
            return Err(self.too_old("the smallest of a top-k", 11));
        }
        self.drop("largest");
        self.drop("sorted");
        if self.target.opset < 10
            && let Some(&[count]) = self.list(1, 11)?.as_deref()
        {
            self.form.attributes.push(int("k", count));
        }
        Ok(())
    }

    /// One slice along one axis, or several; steps came with opset 10.
    fn slice(&mut self) -> Result<(), TooOld> {
        let steps = self.list(4, 10)?.unwrap_or_default();
        if steps.iter().any(|&step| step != 1) {
            return Err(self.too_old("a step", 10));
        }
        for (at, name) in [(3, "axes"), (2, "ends"), (1, "starts")] {
            self.list_becomes(at, name, 10)?;
        }
        Ok(())
    }

    /// Lists that were not asked for are empty, not left out.
    fn nothing_left_out(&mut self) -> Result<(), TooOld> {
        for at in 0..self.form.inputs.len() {
            if self.form.inputs[at].is_empty() {
                let empty = self.tensors.f32s(&format!("{}/none", self.form.inputs[0]), &[]);
                self.form.inputs[at] = empty.map_err(|_| self.too_old("a list that is left out", 13))?;
            }
        }
        Ok(())
    }

    /// Factors only, of the one way to take coordinates that there was: `Upsample` before opset 10.
    fn resize(&mut self) -> Result<(), TooOld> {
        let text = |name: &str, or: &'static str| {
            let found = self.form.attributes.iter().find(|attribute| attribute.name == name);
            let found = found.and_then(|attribute| attribute.s.as_deref());
            found.map_or_else(|| or.to_owned(), |text| String::from_utf8_lossy(text).into_owned())
        };
        let mode = text("mode", "nearest");
        let plain = text("coordinate_transformation_mode", "half_pixel") == "asymmetric"
            && match mode.as_str() {
                "nearest" => text("nearest_mode", "round_prefer_floor") == "floor",
                "linear" => self.int("exclude_outside").is_none(),
                _ => false,
            };
        let scaled = self.form.inputs.len() == 3 && self.form.inputs[1].is_empty();
        if !(plain && scaled) {
            return Err(self.too_old("this way to resample", 11));
        }
        self.form.attributes.retain(|attribute| attribute.name == "mode");
        self.form.inputs.remove(1);
        if self.target.opset < 10 {
            "Upsample".clone_into(&mut self.form.op);
        }
        if self.target.opset < 9
            && let Some(scales) = self.numbers(1, 9)?
        {
            self.form.attributes.push(proto::floats("scales", &scales));
        }
        Ok(())
    }
}
