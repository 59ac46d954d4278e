//! What is written is read back as the same graph; what is wrong is refused with its line.

use proptest::prelude::*;

use super::{read, write};
use crate::{
    Activation, BatchNorm, Conv, DType, Dim, Graph, GraphBuilder, InputType, Op, Padding, Parameter, Role, Shape,
    SourceOrder, Tensor,
};

fn kernel() -> Tensor {
    Tensor::from_f32(vec![4, 2, 3, 3], &(0..72).map(|i| i as f32 / 7.0).collect::<Vec<_>>()).unwrap()
}

fn graph() -> Graph {
    let mut g = GraphBuilder::new("tiny graph");
    let affine = Dim::Symbolic { symbol: "H".into(), offset: -3, divisor: 2 };
    let shape = Shape::new(vec![Dim::symbol("N"), Dim::Fixed(2), affine, Dim::Unknown]);
    let x = g.input_with("x:0", InputType { dtype: DType::F32, shape }, SourceOrder::channels_last());
    let conv = g.layer("conv1", "Conv2D", false);
    let w = Parameter {
        name: "conv1/kernel".into(),
        location: "conv1/kernel".into(),
        role: Role::Weight,
        layer: conv,
        tensor: kernel(),
    };
    let w = g.parameter(w);
    let op = Op::Conv(Conv { padding: Padding::SameUpper, ..Conv::default() });
    let y = g.node("conv1", op, &[x, w], conv);
    g.set_order(y, SourceOrder::channels_last());
    let scale = g.weight("in", Tensor::from_f32(vec![4], &[0.1, -0.0, f32::INFINITY, 3e-39]).unwrap());
    let one = g.weight("one", Tensor::filled(DType::F32, vec![4], 1.0).unwrap());
    let again = g.weight("one", Tensor::filled(DType::F32, vec![4], 0.25).unwrap());
    let y = g.add("bn", Op::BatchNorm(BatchNorm { epsilon: 1.001e-5 }), &[y, scale, one, one, again]);
    let y = g.add("weight", Op::Activation(Activation::RELU6), &[y]);
    let axes = g.weight("axes", Tensor::from_i64(vec![2], &[i64::MAX, -1]).unwrap());
    g.output(axes);
    g.output(y);
    g.finish().unwrap()
}

fn text(graph: &Graph) -> String {
    write(graph, |_| "a kernel".to_owned()).unwrap()
}

fn stored(name: &str, _: DType, shape: &[usize]) -> Option<Tensor> {
    (name == "a kernel" && shape == [4, 2, 3, 3]).then(kernel)
}

#[test]
fn a_graph_is_text_that_can_be_read() {
    let expected = "\
graph \"tiny graph\"
  input \"x:0\" order {\"permuted\": [0, 2, 3, 1]}: f32[N, 2, (H -3 / 2), ?]
  weight conv1/kernel: f32[4, 2, 3, 3] = \"a kernel\" in conv1 Conv2D frozen
  weight \"in\": f32[4] = [0.1, -0.0, \"inf\", 3e-39]
  weight one: f32[4] = 1.0
  weight one as one_2: f32[4] = 0.25
  weight axes: i64[2] = [9223372036854775807, -1]
  conv1 order {\"permuted\": [0, 2, 3, 1]} = conv {\"strides\": [1, 1], \"dilations\": [1, 1], \"groups\": 1, \
\"padding\": \"same_upper\"} (\"x:0\", conv1/kernel) in conv1 Conv2D frozen
  bn = batch_norm {\"epsilon\": 0.00001001} (conv1, \"in\", one, one, one_2)
  \"weight\" = activation {\"clip\": {\"min\": 0.0, \"max\": 6.0}} (bn)
  return axes, \"weight\"
";
    let found = text(&graph());
    // Fields of operators may grow; the rest of a line stays.
    for (found, expected) in found.lines().zip(expected.lines()) {
        let around =
            |line: &str| (line.split('{').next().unwrap().to_owned(), line.rsplit('}').next().unwrap().to_owned());
        assert_eq!(around(found), around(expected));
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{found}");
}

#[test]
fn what_was_written_is_read_back_as_the_same() {
    let graph = graph();
    let again = read(&text(&graph), stored).unwrap();
    assert_eq!(text(&again), text(&graph));
    assert_eq!(again.layers().len(), graph.layers().len());
    for (a, b) in again.layers().iter().zip(graph.layers()) {
        assert!(graph.layers().contains(a) && again.layers().contains(b), "{a:?} {b:?}");
    }
    for (a, b) in again.parameters().iter().zip(graph.parameters()) {
        assert_eq!((a.name.raw(), a.role, a.tensor.dtype()), (b.name.raw(), b.role, b.tensor.dtype()));
        let bytes = |tensor: &Tensor| {
            let mut bytes = Vec::new();
            tensor.append_le_bytes(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(bytes(&a.tensor), bytes(&b.tensor), "{}", a.name);
    }
    for (a, b) in again.nodes().iter().zip(graph.nodes()) {
        assert_eq!((a.name.raw(), &a.op), (b.name.raw(), &b.op));
        assert_eq!(again.value(a.output()).order, graph.value(b.output()).order);
        assert_eq!(again.layer(a.layer), graph.layer(b.layer));
    }
}

#[test]
fn a_text_that_is_wrong_is_refused_with_its_line() {
    let whole = text(&graph());
    for (from, to, expected) in [
        ("input \"x:0\"", "input x:0", "line 2: expected an element type such as f32, found `0"),
        ("f32[N", "f33[N", "line 2: expected an element type such as f32, found `f33"),
        ("/ 2), ?]", "/ 2), ?", "line 2: expected `,` or `]` behind a size"),
        ("= 1.0", "= 1.0 1", "line 5: expected the end of the line, found `1`"),
        ("= 1.0", "= 1.0 in one", "line 5: expected a name"),
        ("= 1.0", "= \"ones\"", "line 5: nothing gives f32 elements of the shape [4] named `ones`"),
        ("= 1.0", "= [1, 1, 1]", "line 5: "),
        ("= 1.0", "= [1, 1, 1, true]", "line 5: elements that are no f32"),
        ("i64[2] = [9223372036854775807, -1]", "i64[2] = [0.5, -1]", "line 7: elements that are no i64"),
        ("\"groups\"", "\"groop\"", "line 8: unknown field"),
        ("batch_norm", "match_norm", "line 9: unknown variant `match_norm`"),
        ("one_2)", "one_2", "line 9: expected `,` or `)` behind the name of an operand"),
        ("(bn)", "(gone)", "does not stand before it"),
        ("return axes, \"weight\"", "return axes \"weight\"", "line 11: expected `,` or the end of the line"),
        ("f32[4, 2, 3, 3]", "f32[4, 2, 3, N]", "line 3: "),
    ] {
        let changed = whole.replacen(from, to, 1);
        assert_ne!(changed, whole, "{from}");
        let error = read(&changed, stored).unwrap_err().to_string();
        assert!(error.contains(expected), "{from}: {error}");
    }
}

#[test]
fn comments_and_empty_lines_say_nothing() {
    let whole = text(&graph());
    let commented = whole.replace('\n', "\n\n   # a comment = (\n");
    assert_eq!(text(&read(&commented, stored).unwrap()), whole);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(graph |input |weight |return |[a-z ]{0,3}|[\\[\\](){},:=?/+\"-]|[0-9]{1,20}|order |in |as |f32|é|\n){0,40}") {
        let _ = read(&text, stored);
    }

    #[test]
    fn any_name_comes_back(name in ".{1,12}") {
        let mut g = GraphBuilder::new(name.as_str());
        let x = g.input(&name, Shape::batch(&[3]));
        let y = g.add(&name, Op::Activation(Activation::RELU), &[x]);
        g.output(y);
        let graph = g.finish().unwrap();
        let again = read(&text(&graph), stored).unwrap();
        prop_assert_eq!(again.name().raw(), name.as_str());
        prop_assert_eq!(text(&again), text(&graph));
    }
}
