//! Sums of products by a formula of letters.
//!
//! Two operands with one letter to sum over are a product of matrices; whatever else there is becomes a product of all
//! operands, stretched over all letters, and a sum over those that the result lacks.

use residua_ir::{DType, Elementwise, Op, PoolKind, Reduce, Role, Tensor, ValueId};

use super::super::{Misused, Reader, Unknown, Unread};
use super::Read;

/// Elements of the unit matrix that takes a diagonal.
const DIAGONAL: usize = 1 << 20;

/// Letters of each operand and of the result; the axes of an ellipsis are letters that no formula has.
struct Formula {
    terms: Vec<Vec<char>>,
    result: Vec<char>,
}

impl Formula {
    fn read(text: &str, ranks: &[usize]) -> Result<Self, Unread> {
        let wrong = || Unknown(format!("the formula `{text}` does not fit its operands"));
        let plain: String = text.chars().filter(|letter| *letter != ' ').collect();
        let (left, right) = match plain.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (plain.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() {
            return Err(wrong());
        }
        let mut free = 0;
        for (term, &rank) in terms.iter().zip(ranks).filter(|(term, _)| term.contains("...")) {
            let count = rank.checked_sub(term.len() - 3).ok_or_else(wrong)?;
            free = free.max(count);
        }
        // Aligned from the right, as in broadcasting.
        let dots =
            |count: usize| (free - count..free).filter_map(|index| char::from_digit(u32::try_from(index).ok()?, 10));
        let letters = |term: &str, rank: Option<usize>| {
            let (before, behind) = term.split_once("...").unwrap_or((term, ""));
            let count = match (term.contains("..."), rank) {
                (true, Some(rank)) => rank.checked_sub(term.len() - 3)?,
                (true, None) => free,
                (false, _) => 0,
            };
            let list: Vec<char> = before.chars().chain(dots(count)).chain(behind.chars()).collect();
            let named = before.chars().chain(behind.chars()).all(|letter| letter.is_ascii_alphabetic());
            (named && rank.is_none_or(|rank| rank == list.len()) && free <= 10).then_some(list)
        };
        let terms: Vec<Vec<char>> = terms
            .iter()
            .zip(ranks)
            .map(|(term, &rank)| letters(term, Some(rank)))
            .collect::<Option<_>>()
            .ok_or_else(wrong)?;
        let result = match right {
            Some(right) => letters(right, None).ok_or_else(wrong)?,
            None => implied(&terms, dots(free).collect()),
        };
        let known = |letter: &char| terms.iter().any(|term| term.contains(letter));
        let once = |letter: &char| result.iter().filter(|other| *other == letter).count() == 1;
        if result.iter().all(|letter| known(letter) && once(letter)) {
            Ok(Self { terms, result })
        } else {
            Err(wrong())
        }
    }
}

/// Letters that stand once, in the order of the alphabet, behind the ellipsis.
fn implied(terms: &[Vec<char>], dots: Vec<char>) -> Vec<char> {
    let mut letters: Vec<char> = terms.iter().flatten().copied().filter(|letter| letter.is_alphabetic()).collect();
    letters.sort_unstable();
    let all = letters.clone();
    letters.retain(|letter| all.iter().filter(|other| *other == letter).count() == 1);
    dots.into_iter().chain(letters).collect()
}

pub(super) fn einsum(r: &mut Reader<'_>) -> Read {
    let text = r.attributes.text("equation")?.ok_or_else(|| Misused("`equation` is missing".to_owned()))?;
    let mut operands = Vec::new();
    let mut ranks = Vec::new();
    for index in 0..r.node.input.len() {
        let operand = r.value(index)?;
        operands.push(operand);
        ranks.push(r.known_rank(operand)?);
    }
    let formula = Formula::read(text, &ranks)?;
    r.attributes.finish()?;
    let mut terms = Vec::new();
    for (operand, letters) in operands.into_iter().zip(formula.terms) {
        terms.push(without_repeats(r, operand, letters)?);
    }
    if let [(a, a_letters), (b, b_letters)] = &terms[..]
        && let Some(product) = Product::of(a_letters, b_letters, &formula.result)
    {
        return product.write(r, *a, *b, (a_letters, b_letters), &formula.result);
    }
    by_definition(r, &terms, &formula.result)
}

/// The diagonal, where a letter stands twice: the unit matrix times the operand, summed over one of both axes.
fn without_repeats(r: &mut Reader<'_>, mut x: ValueId, mut letters: Vec<char>) -> Result<(ValueId, Vec<char>), Unread> {
    while let Some((first, second)) = repeated(&letters) {
        let size = r.scope.fixed(x, first).filter(|&size| size.checked_mul(size).is_some_and(|area| area <= DIAGONAL));
        let size = size.ok_or_else(|| Unknown("the size of a diagonal is free or too large".to_owned()))?;
        let mut unit = vec![0.0; size * size];
        unit.iter_mut().step_by(size + 1).for_each(|one| *one = 1.0);
        let mut shape = vec![1; letters.len()];
        (shape[first], shape[second]) = (size, size);
        let dtype = r.dtype(x);
        let tensor =
            Tensor::from_f64(shape, &unit).map(|tensor| if dtype.is_float() { tensor.cast(dtype) } else { tensor });
        let tensor = tensor.map_err(|error| Unknown(error.to_string()))?;
        if !dtype.is_float() || dtype == DType::Bool {
            return Err(Unknown("a diagonal of whole numbers is not known".to_owned()));
        }
        let name = format!("{}/unit", r.name);
        let unit = r.scope.own(&name, r.layer, Role::Literal, tensor);
        let masked = r.multiply("masked", x, unit);
        let sum = Op::Reduce(Reduce { kind: PoolKind::Sum, axes: vec![second], keep_dims: false });
        x = r.step("diagonal", sum, &[masked]);
        letters.remove(second);
    }
    Ok((x, letters))
}

fn repeated(letters: &[char]) -> Option<(usize, usize)> {
    let again = |first: usize| letters[first + 1..].iter().position(|letter| *letter == letters[first]);
    (0..letters.len()).find_map(|first| Some((first, first + 1 + again(first)?)))
}

/// Two operands as matrices: letters of both, of one only, and the one that is summed over.
struct Product {
    batch: Vec<char>,
    row: Option<char>,
    column: Option<char>,
    inner: char,
}

impl Product {
    fn of(a: &[char], b: &[char], result: &[char]) -> Option<Self> {
        let (mut batch, mut inner, mut row) = (Vec::new(), None, None);
        for &letter in a {
            match (b.contains(&letter), result.contains(&letter)) {
                (true, true) => batch.push(letter),
                (true, false) if inner.is_none() => inner = Some(letter),
                (false, true) if row.is_none() => row = Some(letter),
                _ => return None,
            }
        }
        let mut own = b.iter().filter(|letter| !a.contains(letter));
        let column = own.next().copied();
        if own.next().is_some() || column.is_some_and(|column| !result.contains(&column)) {
            return None;
        }
        Some(Self { batch, row, column, inner: inner? })
    }

    fn write(
        self,
        r: &mut Reader<'_>,
        a: ValueId,
        b: ValueId,
        (a_letters, b_letters): (&[char], &[char]),
        result: &[char],
    ) -> Read {
        let order =
            |last: [Option<char>; 2]| self.batch.iter().copied().chain(last.into_iter().flatten()).collect::<Vec<_>>();
        let rank = self.batch.len();
        let mut a = turned(r, a, a_letters, &order([self.row, Some(self.inner)]));
        let mut b = turned(r, b, b_letters, &order([Some(self.inner), self.column]));
        if self.row.is_none() {
            a = r.step("row", Op::Unsqueeze { axes: vec![rank] }, &[a]);
        }
        if self.column.is_none() {
            b = r.step("column", Op::Unsqueeze { axes: vec![rank + 1] }, &[b]);
        }
        let mut product = r.step("product", Op::MatMul, &[a, b]);
        let gone = [self.row.is_none().then_some(rank), self.column.is_none().then_some(rank + 1)];
        let gone: Vec<usize> = gone.into_iter().flatten().collect();
        if !gone.is_empty() {
            product = r.step("squeezed", Op::Squeeze { axes: gone }, &[product]);
        }
        let letters = order([self.row, self.column]);
        r.end(Op::Transpose { perm: places(&letters, result) }, &[product])
    }
}

/// Where each letter of `wanted` stands.
fn places(letters: &[char], wanted: &[char]) -> Vec<usize> {
    wanted.iter().filter_map(|letter| letters.iter().position(|other| other == letter)).collect()
}

/// An operand with its axes in this order.
fn turned(r: &mut Reader<'_>, x: ValueId, letters: &[char], wanted: &[char]) -> ValueId {
    if letters == wanted { x } else { r.step("turned", Op::Transpose { perm: places(letters, wanted) }, &[x]) }
}

/// All operands over all letters, those of the result first.
fn by_definition(r: &mut Reader<'_>, terms: &[(ValueId, Vec<char>)], result: &[char]) -> Read {
    let mut all = result.to_vec();
    for letter in terms.iter().flat_map(|(_, letters)| letters) {
        if !all.contains(letter) {
            all.push(*letter);
        }
    }
    let mut stretched = Vec::new();
    for (x, letters) in terms {
        let own: Vec<char> = all.iter().copied().filter(|letter| letters.contains(letter)).collect();
        let x = turned(r, *x, letters, &own);
        let axes: Vec<usize> = (0..all.len()).filter(|&axis| !letters.contains(&all[axis])).collect();
        stretched.push(if axes.is_empty() { x } else { r.step("axes", Op::Unsqueeze { axes }, &[x]) });
    }
    let product = match stretched[..] {
        [only] => only,
        _ => r.step("product", Op::Elementwise(Elementwise::Mul), &stretched),
    };
    let axes = (result.len()..all.len()).collect();
    r.end(Op::Reduce(Reduce { kind: PoolKind::Sum, axes, keep_dims: false }), &[product])
}
