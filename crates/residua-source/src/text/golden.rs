//! @ABOUT@

use @CRATE@ as network;

/// How far an output may be from what is expected, relative to the largest value of it.
const TOLERANCE: f64 = @TOLERANCE@;

/// An array of the test: its shape, and its numbers, 4 bytes each, the lowest first.
struct Golden {
    shape: &'static [usize],
    bytes: &'static [u8],
}

const INPUTS: [Golden; @INPUTS@] = @INPUT_LIST@;

const OUTPUTS: [Golden; @OUTPUTS@] = @OUTPUT_LIST@;

impl Golden {
    fn array(&self) -> network::Array {
        let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let values = self.bytes.chunks_exact(4).map(number).collect();
        (values, self.shape.to_vec())
    }
}

#[test]
fn outputs_are_those_of_the_source() {
    let inputs: Vec<network::Array> = INPUTS.iter().map(Golden::array).collect();
@RUN@    assert_eq!(outputs.len(), OUTPUTS.len());
    for (number, ((found, shape), expected)) in outputs.iter().zip(&OUTPUTS).enumerate() {
        assert_eq!(shape, expected.shape);
        let (expected, _) = expected.array();
        let magnitudes = expected.iter().map(|value| value.abs());
        let largest = magnitudes.fold(f32::MIN_POSITIVE, f32::max);
        let mut relative = 0f64;
        for (a, b) in found.iter().zip(&expected) {
            let difference = f64::from((a - b).abs() / largest);
            assert!(!difference.is_nan());
            relative = relative.max(difference);
        }
        println!("output {number} differs by {relative:e} of its largest value");
        assert!(relative <= TOLERANCE, "{relative:e} is above {TOLERANCE:e}");
    }
}
