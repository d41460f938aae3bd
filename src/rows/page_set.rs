//! A set of pages: one bit each.

/// A set of page numbers from 1 up to a limit.
#[derive(Clone, Debug, Default)]
pub struct PageSet {
    words: Vec<u64>,
    count: u32,
}

impl PageSet {
    /// An empty set for numbers up to `limit`.
    pub fn up_to(limit: u32) -> Self {
        Self { words: vec![0; limit as usize / 64 + 1], count: 0 }
    }

    /// Adds a number; false when it was there, or is beyond the limit.
    pub fn insert(&mut self, number: u32) -> bool {
        let Some(word) = self.words.get_mut(number as usize / 64) else { return false };
        let bit = 1 << (number % 64);
        let new = *word & bit == 0;
        *word |= bit;
        self.count += u32::from(new);
        new
    }

    /// Adds numbers; those beyond the limit are left out.
    pub fn extend(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.insert(number);
        }
    }

    /// Takes a number out; false when it was not there.
    pub fn remove(&mut self, number: u32) -> bool {
        let there = self.contains(number);
        if there {
            self.words[number as usize / 64] &= !(1 << (number % 64));
            self.count -= 1;
        }
        there
    }

    /// Whether a number is in it.
    pub fn contains(&self, number: u32) -> bool {
        self.words.get(number as usize / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// How many numbers it has.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }
}
