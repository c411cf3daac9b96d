//! Which random blocks each query block sees: transformers' draw, bit for bit.
//!
//! Published weights were trained with these blocks, which are random only in name: each layer seeds the generator with its own
//! number at every forward pass, so they are fixed. Two plans exist, by the length of the (padded) source:
//!
//! *1024, 3072 and 4096*: a table for all positions of the model is drawn head by head, and its first rows are used. Blocks come from
//! the first 1024 tokens, less the neighbours of the row; the bounds are off by a few blocks in the original, so that a block of
//! the window or a global one may be drawn: it then counts twice.
//!
//! *other lengths*: rows outside, heads inside; blocks come from the first 5 + 2r, less the window, the global blocks and, for the rows
//! next to a global one, the block at the far end.
//!
//! Draws whose result is not used happen nevertheless: the generator's later numbers depend on them.

use super::mt19937::Mt19937;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DrawError {
    #[error("row {row} can draw from {pool} blocks of {block} tokens, and the model wants {wanted}")]
    TooFew {
        row: usize,
        pool: usize,
        block: usize,
        wanted: usize,
    },
    #[error("{blocks} blocks are more than the {most} that the model's positions have room for")]
    TooLong { blocks: usize, most: usize },
}

/// What decides the random blocks, besides the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    pub heads: usize,
    /// Tokens in a block.
    pub block: usize,
    /// Blocks in the padded source.
    pub blocks: usize,
    /// Random blocks for each row.
    pub random: usize,
    /// Positions of the model.
    pub positions: usize,
}

/// Lengths (in tokens) with a table for all positions, and where their random blocks end.
const TABLED: [usize; 3] = [1024, 3072, 4096];
const TABLE_END: usize = 1024;

impl Draw {
    /// Block numbers, row-major (heads, blocks - 2, random): the first and the last block see everything and draw nothing.
    pub fn layer(&self, layer: usize) -> Result<Vec<i64>, DrawError> {
        let mut random = Mt19937::seed(layer as u32);
        if TABLED.contains(&(self.blocks * self.block)) {
            self.tabled(&mut random)
        } else {
            self.planned(&mut random)
        }
    }

    fn tabled(&self, random: &mut Mt19937) -> Result<Vec<i64>, DrawError> {
        let (rows, all) = (self.blocks - 2, self.positions / self.block);
        if all < self.blocks {
            return Err(DrawError::TooLong {
                blocks: self.blocks,
                most: all,
            });
        }
        let middle: Vec<i64> = (1..all as i64 - 1).collect();
        let last = if TABLE_END > 2 * self.block {
            TABLE_END / self.block - 1
        } else {
            all - 1
        };
        let until = |end: usize| &middle[..end.min(middle.len())];
        let between = |start: usize| until(last).get(start..).unwrap_or_default();
        let mut drawn = Vec::with_capacity(self.heads * rows * self.random);
        for _ in 0..self.heads {
            for row in 1..all - 1 {
                let (before, after) = match row {
                    1 => (&[][..], between(2)),
                    2 => (&[][..], between(3)),
                    _ if row + 3 >= all => (until(last), &[][..]),
                    _ if row > last + 2 => (until(last), &[][..]),
                    _ if row + 1 == last => (until(row - 2), &[][..]),
                    _ => (until(row - 2), between(row + 1)),
                };
                let mut pool = [before, after].concat();
                random.permute(&mut pool);
                if row <= rows {
                    drawn.extend(self.first(row, &pool)?);
                }
            }
        }
        Ok(drawn)
    }

    fn planned(&self, random: &mut Mt19937) -> Result<Vec<i64>, DrawError> {
        let (rows, r) = (self.blocks - 2, self.random);
        let end = 5 + 2 * r; // of the pool; there are more blocks than that, else attention is full
        let mut drawn = vec![0; self.heads * rows * r];
        for row in 1..self.blocks {
            for head in 0..self.heads {
                let mut pool: Vec<i64> = (0..end as i64).collect();
                random.permute(&mut pool);
                let legal = |block: &i64| {
                    let block = *block as usize;
                    let global = block == 0 || block == end - 1;
                    let across = (row == 1 && block == end - 2) || (row == end - 2 && block == 1);
                    !global && !across && block.abs_diff(row) > 1
                };
                pool.retain(legal);
                if row <= rows {
                    let at = (head * rows + row - 1) * r;
                    drawn[at..at + r].copy_from_slice(self.first(row, &pool)?);
                }
            }
        }
        Ok(drawn)
    }

    fn first<'a>(&self, row: usize, pool: &'a [i64]) -> Result<&'a [i64], DrawError> {
        pool.get(..self.random).ok_or(DrawError::TooFew {
            row,
            pool: pool.len(),
            block: self.block,
            wanted: self.random,
        })
    }
}
