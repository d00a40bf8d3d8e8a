//! What a row weighs on a page that is bounded by bytes.

/// About how many bytes a row takes in an answer.
pub trait Weight {
    /// Those bytes.
    fn weight(&self) -> usize;
}
