//! The array that holds a split's ids, the same in memory and on disk. 32-bit words, of this machine's byte order:
//!
//! ```text
//! 0..2            magic, version of this layout
//! 2..10           key: what the ids were made from (zero in memory)
//! 10              R, number of rows
//! 11..12+R        ends of sources: row r is ids[ends[r]..ends[r + 1]], ends[0] = 0
//! 12+R..13+2R     ends of targets, going on from the last source's
//! 13+2R..13+3R    1 where the row has an output
//! 13+3R..         ids
//! ```

const MAGIC: u32 = u32::from_ne_bytes(*b"ppid");
const VERSION: u32 = 1;
const KEY: std::ops::Range<usize> = 2..10;
const ROWS: usize = 10;
const FIRST: usize = 11;

type Row = (Vec<u32>, Option<Vec<u32>>);

pub(super) fn build(rows: &[Row], key: [u32; 8]) -> Vec<u32> {
    let ids: usize = rows
        .iter()
        .map(|(source, target)| source.len() + target.as_ref().map_or(0, Vec::len))
        .sum();
    // 2^32 ids are 1 million rows of the longest source: sixty times the largest set.
    assert!(u32::try_from(ids).is_ok(), "more than 4 billion ids in one split");
    let mut words = Vec::with_capacity(FIRST + 2 + 3 * rows.len() + ids);
    words.extend([MAGIC, VERSION]);
    words.extend(key);
    words.push(rows.len() as u32);
    let mut end = 0u32;
    let mut ends = |lengths: &mut dyn Iterator<Item = usize>, words: &mut Vec<u32>| {
        words.push(end);
        for length in lengths {
            end += length as u32;
            words.push(end);
        }
    };
    ends(&mut rows.iter().map(|(source, _)| source.len()), &mut words);
    ends(
        &mut rows.iter().map(|(_, target)| target.as_ref().map_or(0, Vec::len)),
        &mut words,
    );
    words.extend(rows.iter().map(|(_, target)| u32::from(target.is_some())));
    words.extend(rows.iter().flat_map(|(source, _)| source));
    words.extend(rows.iter().flat_map(|(_, target)| target).flatten());
    words
}

pub(super) fn set_key(words: &mut [u32], key: [u32; 8]) {
    words[KEY].copy_from_slice(&key);
}

/// Number of rows, where `words` are whole and belong to `key`. Everything that [`source`] and [`target`] index by is checked.
pub(super) fn check(words: &[u32], key: [u32; 8]) -> Option<usize> {
    if words.len() < FIRST || words[..2] != [MAGIC, VERSION] || words[KEY] != key {
        return None;
    }
    let rows = words[ROWS] as usize;
    let ids = words.len().checked_sub(first_id(rows))?;
    let ends = &words[FIRST..FIRST + 2 * (rows + 1)];
    let ascending = ends.windows(2).all(|pair| pair[0] <= pair[1]);
    (ascending && ends[0] == 0 && ends[rows] == ends[rows + 1] && ends[2 * rows + 1] as usize == ids).then_some(rows)
}

pub(super) fn source(words: &[u32], rows: usize, row: usize) -> &[u32] {
    ids(words, rows, FIRST + row)
}

pub(super) fn target(words: &[u32], rows: usize, row: usize) -> Option<&[u32]> {
    let answered = words[FIRST + 2 * (rows + 1) + row] != 0;
    answered.then(|| ids(words, rows, FIRST + rows + 1 + row))
}

fn ids(words: &[u32], rows: usize, end: usize) -> &[u32] {
    &words[first_id(rows)..][words[end] as usize..words[end + 1] as usize]
}

fn first_id(rows: usize) -> usize {
    FIRST + 2 * (rows + 1) + rows
}

/// A mapping begins on a page, so its words are aligned.
pub(super) fn words_of(bytes: &[u8]) -> &[u32] {
    // SAFETY: every bit pattern is a u32.
    let (before, words, _) = unsafe { bytes.align_to::<u32>() };
    debug_assert!(before.is_empty(), "a mapping that does not begin on a page");
    words
}

pub(super) fn bytes_of(words: &[u32]) -> &[u8] {
    // SAFETY: a u32 has no padding, and u8 no alignment.
    unsafe { words.align_to::<u8>().1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_array_is_not_taken() {
        let key = [7; 8];
        let words = build(
            &[(vec![1, 2, 3], Some(vec![4])), (vec![], None), (vec![5], Some(vec![]))],
            key,
        );
        assert_eq!(check(&words, key), Some(3));
        assert_eq!((source(&words, 3, 0), source(&words, 3, 2)), (&[1, 2, 3][..], &[5][..]));
        assert_eq!(
            (target(&words, 3, 0), target(&words, 3, 1), target(&words, 3, 2)),
            (Some(&[4][..]), None, Some(&[][..]))
        );
        assert_eq!(check(&words, [8; 8]), None);
        for end in 0..words.len() {
            assert_eq!(check(&words[..end], key), None, "{end}");
        }
        // Every word before the answers steers reading; a flipped one is seen.
        for at in 0..first_id(3) - 3 {
            let mut damaged = words.clone();
            damaged[at] ^= 0x8000_0001;
            assert_eq!(check(&damaged, key), None, "{at}");
        }
    }

    #[test]
    fn no_rows_are_an_array_too() {
        assert_eq!(check(&build(&[], [0; 8]), [0; 8]), Some(0));
    }
}
