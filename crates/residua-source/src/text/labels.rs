
/// Names of the classes, in order; none where they are not known.
pub fn labels() -> Vec<&'static str> {
    include_str!("../labels.txt").lines().collect()
}
