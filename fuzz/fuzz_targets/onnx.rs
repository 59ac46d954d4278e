#![no_main]
#![doc = "See `residua_fuzz::targets::onnx`."]

libfuzzer_sys::fuzz_target!(|data: &[u8]| residua_fuzz::targets::onnx(data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    residua_fuzz::mutate_in_place(data, size, max_size, seed, libfuzzer_sys::fuzzer_mutate)
});
