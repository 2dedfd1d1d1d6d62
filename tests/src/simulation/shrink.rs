//! Makes a failing schedule shorter: leaves out parts, larger ones first, as long as what is left still fails.

use super::schedule::Step;

/// The shortest schedule that was found to fail in so many tries. `fails` runs one.
pub fn shrink(steps: &[(usize, Step)], tries: usize, mut fails: impl FnMut(&[(usize, Step)]) -> bool) -> Vec<(usize, Step)> {
    let mut shortest = steps.to_vec();
    let mut part = shortest.len().div_ceil(2);
    let mut left = tries;
    while part > 0 && left > 0 {
        let mut from = 0;
        let mut shorter = false;
        while from < shortest.len() && left > 0 {
            let mut without = shortest.clone();
            without.drain(from..(from + part).min(shortest.len()));
            left -= 1;
            if !without.is_empty() && fails(&without) {
                shortest = without;
                shorter = true;
            } else {
                from += part;
            }
        }
        if !shorter || part > shortest.len() {
            part = if part == 1 && !shorter { 0 } else { part.div_ceil(2).min(part - usize::from(part > 1)).max(1) };
        }
    }
    shortest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let steps: Vec<(usize, Step)> = (0..40).map(|number| (number, Step::KillPhone { phone: number % 3 })).collect();
        let needed = [7, 23];
        let fails = |some: &[(usize, Step)]| needed.iter().all(|wanted| some.iter().any(|(number, _)| number == wanted));
        let shortest = shrink(&steps, 400, fails);
        assert_eq!(shortest.iter().map(|(number, _)| *number).collect::<Vec<_>>(), needed);
    }
}
