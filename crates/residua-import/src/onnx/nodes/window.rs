//! Convolutions and pools. What has one spatial axis is read as an image of one row.

use residua_ir::shape::window::{Window, resolve, same_upper_any_size};
use residua_ir::{
    AvgPool, Conv, ConvTranspose, GlobalPool, LpPool, MaxPool, Op, Padding, Pads, PoolKind, Reduce, Role, Transform,
    ValueId,
};

use super::super::{Misused, Reader, Unknown, Unread};
use super::Read;

/// An operand of windows.
struct Plane {
    x: ValueId,
    /// Whether it has one spatial axis only; two where that is not known.
    line: bool,
    known: bool,
    /// Sizes of its spatial axes.
    sizes: [Option<usize>; 2],
}

impl Plane {
    fn read(r: &mut Reader<'_>) -> Result<Self, Unread> {
        let x = r.value(0)?;
        Self::of(r, x)
    }

    fn of(r: &Reader<'_>, x: ValueId) -> Result<Self, Unread> {
        let line = match r.rank(x) {
            Some(3) => true,
            Some(4) | None => false,
            Some(rank @ 0..=2) => {
                return Err(Misused(format!(
                    "its operand must have a batch, channels and spatial axes, found {rank} axes"
                )));
            }
            Some(rank) => {
                return Err(Unknown(format!(
                    "only one or two spatial axes are known, of three or four in all; its operand has {rank}"
                )));
            }
        };
        let sizes = if line { [Some(1), r.scope.fixed(x, 2)] } else { [2, 3].map(|axis| r.scope.fixed(x, axis)) };
        Ok(Self { x, line, known: r.rank(x).is_some(), sizes })
    }

    /// Of what is not as many as its axes.
    fn misfit(&self, problem: String) -> Unread {
        if self.known { Misused(problem) } else { Unknown(problem) }
    }

    /// An attribute of one number a spatial axis.
    fn sides(&self, r: &Reader<'_>, name: &str, row: usize, default: Option<[usize; 2]>) -> Result<[usize; 2], Unread> {
        let Some(values) = r.attributes.ints(name)? else {
            return default.ok_or_else(|| Misused(format!("attribute `{name}` is missing")));
        };
        let sizes: Option<Vec<usize>> = values.iter().map(|&value| usize::try_from(value).ok()).collect();
        match (sizes.as_deref(), self.line) {
            (Some(&[width]), true) => Ok([row, width]),
            (Some(&[height, width]), false) => Ok([height, width]),
            _ => Err(self.misfit(format!("attribute `{name}` must be a size for each spatial axis, found {values:?}"))),
        }
    }

    /// Amounts before and after each spatial axis.
    fn pads(&self, values: &[i64]) -> Result<Pads, Unread> {
        let sizes: Option<Vec<usize>> = values.iter().map(|&value| usize::try_from(value).ok()).collect();
        match (sizes.as_deref(), self.line) {
            (Some(&[left, right]), true) => Ok(Pads { top: 0, left, bottom: 0, right }),
            (Some(&[top, left, bottom, right]), false) => Ok(Pads { top, left, bottom, right }),
            _ => Err(self.misfit(format!(
                "`pads` must be two amounts for each spatial axis, none of them below 0, found {values:?}"
            ))),
        }
    }

    /// `pads` or `auto_pad`, as amounts wherever they are known.
    fn padding(&self, r: &Reader<'_>, windows: [Window; 2]) -> Result<Padding, Unread> {
        let pads = r.attributes.ints("pads")?;
        let same = match r.attributes.text("auto_pad")?.unwrap_or("NOTSET") {
            "NOTSET" | "" => return Ok(Padding::Explicit(pads.map_or(Ok(Pads::default()), |pads| self.pads(pads))?)),
            "VALID" => return Ok(Padding::default()),
            "SAME_UPPER" => Padding::SameUpper,
            "SAME_LOWER" => Padding::SameLower,
            other => return Err(Unknown(format!("`auto_pad` {other} is not known"))),
        };
        if let [Some(height), Some(width)] = self.sizes {
            let amounts = resolve(same, height, width, windows);
            return amounts.map(Padding::Explicit).ok_or_else(|| Unknown("its padding is out of range".to_owned()));
        }
        if let [Some(rows), Some(cols)] = windows.map(same_upper_any_size) {
            let (rows, cols) =
                if same == Padding::SameLower { ((rows.1, rows.0), (cols.1, cols.0)) } else { (rows, cols) };
            return Ok(Padding::Explicit(Pads { top: rows.0, bottom: rows.1, left: cols.0, right: cols.1 }));
        }
        Ok(same)
    }

    /// The attributes that windows share; `kernel` where they need not say it.
    fn window(&self, r: &Reader<'_>, kernel: Option<[usize; 2]>) -> Result<Attributes, Unread> {
        let stated = self.sides(r, "kernel_shape", 1, kernel)?;
        if let Some(kernel) = kernel.filter(|&kernel| kernel != stated) {
            return Err(Misused(format!("`kernel_shape` is {stated:?} and its kernel {kernel:?}")));
        }
        let strides = self.sides(r, "strides", 1, Some([1, 1]))?;
        let dilations = self.sides(r, "dilations", 1, Some([1, 1]))?;
        let windows = [0, 1].map(|i| Window { kernel: stated[i], stride: strides[i], dilation: dilations[i] });
        Ok(Attributes { kernel: stated, strides, dilations, padding: self.padding(r, windows)? })
    }

    /// Where the size of a pool is rounded up. Where padding is given by rule, so is the size.
    fn ceil_mode(r: &Reader<'_>) -> Result<bool, Unread> {
        let ceil = r.attributes.flag("ceil_mode", false)?;
        Ok(ceil && matches!(r.attributes.text("auto_pad")?, None | Some("NOTSET" | "")))
    }

    /// The node that gives the result, with what a line needs around it.
    fn end(self, r: &mut Reader<'_>, op: Op, weights: &[ValueId]) -> Read {
        if !self.line {
            return r.end(op, &[&[self.x], weights].concat());
        }
        r.attributes.finish()?;
        let row = r.step("row", Op::Unsqueeze { axes: vec![2] }, &[self.x]);
        let result = r.step("plane", op, &[&[row], weights].concat());
        r.end(Op::Squeeze { axes: vec![2] }, &[result])
    }

    /// A kernel and its bias; the kernel's spatial sizes.
    fn weights(&self, r: &mut Reader<'_>) -> Result<(Vec<ValueId>, [usize; 2]), Unread> {
        let name = r.required(1)?;
        let sizes: Option<Vec<usize>> = r.scope.sizes_of(name).and_then(|sizes| {
            sizes.iter().map(|size| size.known().and_then(|size| usize::try_from(size).ok())).collect()
        });
        let (shape, size) = match (sizes.as_deref(), self.line) {
            (Some(&[out, channels, width]), true) => (vec![out, channels, 1, width], [1, width]),
            (Some(&[out, channels, height, width]), false) => (vec![out, channels, height, width], [height, width]),
            (None, _) => return Err(Unknown("the sizes of its kernel are not known".to_owned())),
            (Some(sizes), line) => {
                let (axes, found) = (if line { 3 } else { 4 }, sizes.len());
                return Err(self.misfit(format!("its kernel must have {axes} axes as its operand, found {found}")));
            }
        };
        let kernel = match (self.line, r.constant_shape(1).is_some()) {
            (false, _) => r.value(1)?,
            (true, true) => r.value_as(1, Role::Weight, &[Transform::Reshape(shape)])?,
            (true, false) => {
                let kernel = r.value(1)?;
                r.step("kernel", Op::Unsqueeze { axes: vec![2] }, &[kernel])
            }
        };
        let mut weights = vec![kernel];
        if r.operand(2).is_some() {
            weights.push(r.value(2)?);
        }
        Ok((weights, size))
    }
}

struct Attributes {
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    padding: Padding,
}

fn groups(r: &Reader<'_>) -> Result<usize, Unread> {
    let groups = r.attributes.int("group")?.unwrap_or(1);
    usize::try_from(groups).map_err(|_| Misused(format!("`group` is {groups}")))
}

/// Attributes of a convolution of images by a kernel of known sizes.
pub(super) fn conv_attributes(r: &Reader<'_>, x: ValueId, kernel: ValueId) -> Result<Conv, Unread> {
    let plane = Plane::of(r, x)?;
    let shape = r.scope.shape(kernel)?.as_fixed();
    let (Some(&[_, _, height, width]), false) = (shape.as_deref(), plane.line) else {
        return Err(Unknown("only images are known, of four axes, and kernels of known sizes".to_owned()));
    };
    let groups = groups(r)?;
    let Attributes { strides, dilations, padding, .. } = plane.window(r, Some([height, width]))?;
    Ok(Conv { strides, padding, dilations, groups })
}

pub(super) fn conv(r: &mut Reader<'_>) -> Read {
    let plane = Plane::read(r)?;
    let groups = groups(r)?;
    let (weights, kernel) = plane.weights(r)?;
    let Attributes { strides, dilations, padding, .. } = plane.window(r, Some(kernel))?;
    plane.end(r, Op::Conv(Conv { strides, padding, dilations, groups }), &weights)
}

/// What is cut off is given, follows from the size that is asked for, or makes the result `size * stride`.
pub(super) fn conv_transpose(r: &mut Reader<'_>) -> Read {
    let plane = Plane::read(r)?;
    let groups = groups(r)?;
    let (weights, kernel) = plane.weights(r)?;
    let stated = plane.sides(r, "kernel_shape", 1, Some(kernel))?;
    if stated != kernel {
        return Err(Misused(format!("`kernel_shape` is {stated:?} and its kernel {kernel:?}")));
    }
    let strides = plane.sides(r, "strides", 1, Some([1, 1]))?;
    let dilations = plane.sides(r, "dilations", 1, Some([1, 1]))?;
    let mut output_padding = plane.sides(r, "output_padding", 0, Some([0, 0]))?;
    let output = r.attributes.ints("output_shape")?.map(|_| plane.sides(r, "output_shape", 1, None)).transpose()?;
    let rule = r.attributes.text("auto_pad")?.unwrap_or("NOTSET");
    let given = r.attributes.ints("pads")?.map(|pads| plane.pads(pads)).transpose()?.unwrap_or_default();
    let out_of_range = || Unknown("its padding is out of range".to_owned());
    let mut cut = |i: usize| {
        let extent = Window { kernel: kernel[i], stride: strides[i], dilation: dilations[i] }.extent();
        let extent = usize::try_from(extent.ok_or_else(out_of_range)?).map_err(|_| out_of_range())?;
        let more = output_padding[i];
        let spread = |size: usize| size.checked_sub(1)?.checked_mul(strides[i])?.checked_add(more + extent);
        let (full, wanted) = match output {
            Some(wanted) => {
                let free = || Unknown("its result's size is given and its operand's is free".to_owned());
                (spread(plane.sizes[i].ok_or_else(free)?).ok_or_else(out_of_range)?, wanted[i])
            }
            None => (extent + output_padding[i], strides[i]),
        };
        // What is asked for beyond what the kernels reach is added behind.
        let total = full.saturating_sub(wanted);
        output_padding[i] += wanted.saturating_sub(full);
        let (less, more) = (total / 2, total - total / 2);
        Ok::<_, Unread>(if rule == "SAME_UPPER" { [less, more] } else { [more, less] })
    };
    let pads = match (rule, output) {
        ("VALID", None) => Pads::default(),
        ("NOTSET" | "", None) => given,
        ("NOTSET" | "" | "VALID" | "SAME_UPPER" | "SAME_LOWER", _) => {
            let ([top, bottom], [left, right]) = (cut(0)?, cut(1)?);
            Pads { top, left, bottom, right }
        }
        (other, _) => return Err(Unknown(format!("`auto_pad` {other} is not known"))),
    };
    plane.end(r, Op::ConvTranspose(ConvTranspose { strides, pads, output_padding, dilations, groups }), &weights)
}

pub(super) fn max_pool(r: &mut Reader<'_>) -> Read {
    let plane = Plane::read(r)?;
    let pool = max_pool_attributes(r, plane.x)?;
    plane.end(r, Op::MaxPool(pool), &[])
}

/// Attributes of a pool of this operand.
pub(super) fn max_pool_attributes(r: &Reader<'_>, x: ValueId) -> Result<MaxPool, Unread> {
    let Attributes { kernel, strides, padding, dilations } = Plane::of(r, x)?.window(r, None)?;
    // The order of the indices, which nothing reads.
    r.attributes.skip(&["storage_order"]);
    Ok(MaxPool { kernel, strides, padding, dilations, ceil_mode: Plane::ceil_mode(r)? })
}

pub(super) fn avg_pool(r: &mut Reader<'_>) -> Read {
    let plane = Plane::read(r)?;
    let pool = avg_pool_attributes(r, plane.x)?;
    plane.end(r, Op::AvgPool(pool), &[])
}

/// Attributes of a pool of this operand.
pub(super) fn avg_pool_attributes(r: &Reader<'_>, x: ValueId) -> Result<AvgPool, Unread> {
    let Attributes { kernel, strides, padding, dilations } = Plane::of(r, x)?.window(r, None)?;
    let ceil_mode = Plane::ceil_mode(r)?;
    let count_include_pad = r.attributes.flag("count_include_pad", false)?;
    Ok(AvgPool { kernel, strides, padding, dilations, ceil_mode, count_include_pad })
}

/// A power, which is real in opset 1.
fn power(r: &Reader<'_>) -> Result<u32, Unread> {
    let p = if r.opset < 2 {
        r.attributes.float("p")?.unwrap_or(2.0)
    } else {
        #[expect(clippy::cast_precision_loss, reason = "checked below")]
        r.attributes.int("p")?.map_or(2.0, |p| p as f64)
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    let whole = (p.fract() == 0.0 && (1.0..1e6).contains(&p)).then_some(p as u32);
    whole.ok_or_else(|| Unknown(format!("a power `p` of {p} is not known")))
}

pub(super) fn lp_pool(r: &mut Reader<'_>) -> Read {
    let plane = Plane::read(r)?;
    let Attributes { kernel, strides, padding, dilations } = plane.window(r, None)?;
    let ceil_mode = Plane::ceil_mode(r)?;
    let p = power(r)?;
    plane.end(r, Op::LpPool(LpPool { kernel, strides, padding, dilations, ceil_mode, p }), &[])
}

/// Axes behind the channels.
fn spatial(r: &Reader<'_>, x: ValueId) -> Result<Vec<usize>, Unread> {
    Ok((2..r.known_rank(x)?).collect())
}

pub(super) fn global_pool(r: &mut Reader<'_>, kind: PoolKind) -> Read {
    let x = r.value(0)?;
    if r.rank(x).is_none_or(|rank| rank == 4) {
        return r.end(Op::GlobalPool(GlobalPool { kind, keep_dims: true }), &[x]);
    }
    let axes = spatial(r, x)?;
    r.end(Op::Reduce(Reduce { kind, axes, keep_dims: true }), &[x])
}

pub(super) fn global_lp_pool(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let axes = spatial(r, x)?;
    let kind = match power(r)? {
        1 => PoolKind::L1,
        2 => PoolKind::L2,
        p => return Err(Unknown(format!("a power `p` of {p} is not known"))),
    };
    r.end(Op::Reduce(Reduce { kind, axes, keep_dims: true }), &[x])
}
