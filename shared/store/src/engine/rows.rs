//! Statements over many rows.

/// Cuts rows into pieces of 256, 128, 64, …: nine texts to prepare, where any length would be five hundred.
pub fn powers<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = 1 << rows.len().min(256).checked_ilog2()?;
        let (head, tail) = rows.split_at(size);
        rows = tail;
        Some(head)
    })
}

#[cfg(test)]
mod tests {
    use super::powers;

    #[test]
    fn pieces_are_powers_of_two_and_cover_all_in_order() {
        let rows: Vec<usize> = (0..1_003).collect();
        let pieces: Vec<&[usize]> = powers(&rows).collect();
        assert!(pieces.iter().all(|piece| piece.len().is_power_of_two() && piece.len() <= 256));
        assert_eq!(pieces.concat(), rows);
        assert_eq!(powers::<u8>(&[]).count(), 0);
    }
}
