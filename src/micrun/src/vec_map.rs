//! Maps of a handful of entries: looked through one by one, and a tenth of the code of a tree per type of value.

/// Values by their keys, in the order in which they came.
#[derive(Debug)]
pub struct VecMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for VecMap<K, V> {
    fn default() -> VecMap<K, V> {
        VecMap(Vec::new())
    }
}

impl<K: Copy + PartialEq, V> VecMap<K, V> {
    fn position(&self, key: K) -> Option<usize> {
        self.0.iter().position(|(own, _)| *own == key)
    }

    /// The value of a key.
    pub fn get(&self, key: K) -> Option<&V> {
        self.position(key).map(|index| &self.0[index].1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.position(key).map(|index| &mut self.0[index].1)
    }

    /// Sets the value of a key; gives back the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let old = self.remove(key);
        self.0.push((key, value));
        old
    }

    /// Takes the value of a key out.
    pub fn remove(&mut self, key: K) -> Option<V> {
        self.position(key).map(|index| self.0.remove(index).1)
    }

    /// Keeps those values for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut V) -> bool) {
        self.0.retain_mut(|(_, value)| keep(value));
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_value() {
        let mut map = VecMap::default();
        assert!(map.is_empty());
        assert_eq!((map.insert(2, 'a'), map.insert(1, 'b'), map.insert(2, 'c')), (None, None, Some('a')));
        assert_eq!((map.get(1), map.get(2), map.get(3), map.len()), (Some(&'b'), Some(&'c'), None, 2));
        *map.get_mut(1).expect("there") = 'd';
        map.retain(|value| *value != 'c');
        assert_eq!(map.values().collect::<String>(), "d");
        assert_eq!((map.remove(1), map.remove(1), map.is_empty()), (Some('d'), None, true));
    }
}
