//! What is kept in memory because it is likely to be wanted again: values by name, as much as fits, of which the oldest go first.

use std::collections::BTreeMap;

/// Values by name, up to a size.
pub(crate) struct Bounded<K, V> {
    values: BTreeMap<K, Held<V>>,
    /// Names by when their values came.
    order: BTreeMap<u64, K>,
    next: u64,
    size: usize,
    size_max: usize,
}

struct Held<V> {
    value: V,
    size: usize,
    came: u64,
}

impl<K: Ord + Copy, V> Bounded<K, V> {
    /// Nothing yet; sizes come to this at most.
    pub(crate) fn of(size_max: usize) -> Self {
        Self { values: BTreeMap::new(), order: BTreeMap::new(), next: 0, size: 0, size_max }
    }

    /// Keeps a value in place of the one of this name, as the newest.
    pub(crate) fn put(&mut self, name: K, value: V, size: usize) {
        self.take(&name);
        self.next += 1;
        self.order.insert(self.next, name);
        self.values.insert(name, Held { value, size, came: self.next });
        self.size += size;
        while self.size > self.size_max
            && let Some((_, oldest)) = self.order.first_key_value()
        {
            let oldest = *oldest;
            self.take(&oldest);
        }
    }

    /// A value, which stays.
    pub(crate) fn get(&self, name: &K) -> Option<&V> {
        self.values.get(name).map(|held| &held.value)
    }

    /// Takes a value out.
    pub(crate) fn take(&mut self, name: &K) -> Option<V> {
        let held = self.values.remove(name)?;
        self.order.remove(&held.came);
        self.size -= held.size;
        Some(held.value)
    }

    /// Keeps only values of which this holds.
    pub(crate) fn retain(&mut self, holds: impl Fn(&V) -> bool) {
        let gone: Vec<K> = self.values.iter().filter(|(_, held)| !holds(&held.value)).map(|(name, _)| *name).collect();
        for name in gone {
            self.take(&name);
        }
    }

    /// What the sizes of all come to.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::of(self.size_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_where_sizes_come_to_too_much() {
        let mut kept = Bounded::of(10);
        kept.put(1, "one", 4);
        kept.put(2, "two", 4);
        kept.put(1, "one again", 4);
        kept.put(3, "three", 4);
        assert_eq!((kept.get(&1), kept.get(&2), kept.get(&3)), (Some(&"one again"), None, Some(&"three")));
        assert_eq!((kept.take(&1), kept.take(&1), kept.size), (Some("one again"), None, 4));
        kept.put(5, "five", 4);
        kept.retain(|value| *value == "three");
        assert_eq!((kept.get(&3), kept.get(&5), kept.size), (Some(&"three"), None, 4));
        kept.put(4, "too large for all", 11);
        assert_eq!((kept.get(&3), kept.get(&4), kept.size, kept.order.len()), (None, None, 0, 0));
    }
}
