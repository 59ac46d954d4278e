//! The order in which Keras lists the layers of a functional model, and so numbers them in `.weights.h5` files.

/// Layers by falling distance from the output, those of equal distance in the order in which a walk from the output
/// first meets them, operands in order.
///
/// `inputs[i]` are the layers that layer `i` reads; `output` is the last layer. Layers that the output does not need are left
/// out. (Source: `map_graph` in Keras's `function.py`; the same in Keras 2.)
///
/// # Panics
/// Where `inputs` refers to itself or to a later layer.
#[must_use]
pub fn keras_order(inputs: &[Vec<usize>], output: usize) -> Vec<usize> {
    let mut met = vec![usize::MAX; inputs.len()];
    let mut order = Vec::new();
    let mut pending = vec![output];
    while let Some(layer) = pending.pop() {
        if met[layer] == usize::MAX {
            met[layer] = order.len();
            order.push(layer);
            pending.extend(inputs[layer].iter().rev());
        }
    }
    // Every layer comes after those that it reads, so one pass from the end settles all distances.
    let mut distance = vec![0usize; inputs.len()];
    for layer in (0..inputs.len()).rev().filter(|&layer| met[layer] != usize::MAX) {
        for &before in &inputs[layer] {
            assert!(before < layer, "layers come after those that they read");
            distance[before] = distance[before].max(distance[layer] + 1);
        }
    }
    order.sort_by_key(|&layer| (std::cmp::Reverse(distance[layer]), met[layer]));
    order
}

#[cfg(test)]
mod tests {
    use super::keras_order;

    #[test]
    fn a_projection_comes_just_before_what_lies_as_far_from_the_end() {
        // 0 input, 1 projection, 2..=4 main path, 5 add of both.
        let inputs = [vec![], vec![0], vec![0], vec![2], vec![3], vec![1, 4]];
        assert_eq!(keras_order(&inputs, 5), [0, 2, 3, 1, 4, 5]);
    }
}
