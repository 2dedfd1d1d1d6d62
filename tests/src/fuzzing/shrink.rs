//! Makes an input that fails shorter, as long as it fails alike.

/// Runs that shrinking may take.
pub const TRIES_MAX: usize = 3_000;

/// The shortest input that was found by leaving pieces out, ever smaller ones.
pub fn shrink(input: &[u8], mut fails_alike: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut shortest = input.to_vec();
    let mut piece = shortest.len().div_ceil(2);
    let mut tries = 0;
    while piece > 0 {
        let mut at = 0;
        let mut shrunk = false;
        while at < shortest.len() && tries < TRIES_MAX {
            let mut shorter = shortest.clone();
            shorter.drain(at..(at + piece).min(shortest.len()));
            tries += 1;
            if fails_alike(&shorter) {
                shortest = shorter;
                shrunk = true;
            } else {
                at += piece;
            }
        }
        if tries >= TRIES_MAX || (piece == 1 && !shrunk) {
            break;
        }
        piece = if piece == 1 { 1 } else { piece / 2 };
    }
    shortest
}

#[cfg(test)]
mod tests {
    use super::shrink;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let input = b"something long with a ( in it and a ) after it".repeat(20);
        let fails = |input: &[u8]| input.contains(&b'(') && input.contains(&b')');
        let mut shortest = shrink(&input, fails);
        shortest.sort_unstable();
        assert_eq!(shortest, b"()");
    }
}
