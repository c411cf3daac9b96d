//! A table in at most [`WIDTH`] terminal columns.
//!
//! Every column gets the width of its widest cell. Where that is too much, in this order: single spaces between columns, the
//! expendable columns go (least important first), the flexible column and then the first one are shortened with an ellipsis.

use textwrap::core::display_width;

use super::WIDTH;
use super::style::Paint;
use crate::report::tables::{Align, Cell, Row, RowKind, Table};

/// Cells of a bar of a full share.
const BAR: usize = 6;
/// A name is not shortened below this while a column can still be given up.
const NAME_AT_LEAST: usize = 24;
/// Neither is the flexible column.
const FLEXIBLE_AT_LEAST: usize = 22;
/// Deeper than this, a row says its depth instead of drawing it.
const DRAWN_DEPTH: usize = 5;

/// Title, head, rows; a rule above the sums.
pub(super) fn table(mut table: Table, paint: Paint) -> Vec<String> {
    let branches = branches(&table.rows);
    let (widths, gap) = fit(&mut table, &branches);
    for (row, branch) in table.rows.iter_mut().zip(&branches) {
        let room = widths[0].saturating_sub(display_width(branch));
        row.cells[0].text = format!("{branch}{}", shortened(&row.cells[0].text, room));
    }
    let mut lines = head(&table, &widths, gap, paint);
    let mut in_sums = false;
    let long: usize = widths.iter().sum::<usize>() + gap.len() * (widths.len() - 1);
    for row in &table.rows {
        if matches!(row.kind, RowKind::Summary) && !in_sums {
            in_sums = true;
            lines.push(paint.faint(&"─".repeat(long)));
        }
        lines.push(row_line(&table, row, &widths, gap, paint));
    }
    lines
}

/// What stands in front of each name: the tree's branches down to it.
fn branches(rows: &[Row]) -> Vec<String> {
    // Whether the branch at each depth goes on below the current row.
    let mut open: Vec<bool> = Vec::new();
    let mut drawn = Vec::new();
    for row in rows {
        let RowKind::Entry { depth, last } = row.kind else {
            drawn.push(String::new());
            continue;
        };
        open.resize(depth + 1, false);
        open[depth] = !last;
        drawn.push(match depth {
            0 => String::new(),
            deep if deep > DRAWN_DEPTH => format!("  ({deep}) "),
            _ => {
                let above = open[1..depth].iter().map(|&goes_on| if goes_on { "│ " } else { "  " });
                above.collect::<String>() + if last { "└ " } else { "├ " }
            }
        });
    }
    drawn
}

/// Widths for which the table fits, and what stands between columns. Gives columns up where it must.
fn fit(table: &mut Table, branches: &[String]) -> (Vec<usize>, &'static str) {
    loop {
        let widths = natural_widths(table, branches);
        let content: usize = widths.iter().sum();
        let spare = |i: usize, least: usize| widths[i].saturating_sub(least);
        let shrinkable = spare(0, NAME_AT_LEAST) + table.flexible.map_or(0, |i| spare(i, FLEXIBLE_AT_LEAST));
        for (gap, give) in [("  ", 0), (" ", 0), (" ", shrinkable)] {
            let needed = content + gap.len() * (widths.len() - 1);
            if needed <= WIDTH + give {
                return (shrink(table, widths, needed.saturating_sub(WIDTH)), gap);
            }
        }
        let least_important = (1..table.columns.len()).max_by_key(|&i| table.columns[i].expendable);
        match least_important {
            Some(i) if table.columns[i].expendable > 0 || table.columns.len() > 2 => table.remove_column(i),
            _ => return (vec![WIDTH / 2 - 1; widths.len()], "  "),
        }
    }
}

/// Take `excess` from the flexible column first, then from the name.
fn shrink(table: &Table, mut widths: Vec<usize>, mut excess: usize) -> Vec<usize> {
    for (i, least) in table
        .flexible
        .map(|i| (i, FLEXIBLE_AT_LEAST))
        .into_iter()
        .chain([(0, NAME_AT_LEAST)])
    {
        let taken = excess.min(widths[i].saturating_sub(least));
        widths[i] -= taken;
        excess -= taken;
    }
    widths
}

fn natural_widths(table: &Table, branches: &[String]) -> Vec<usize> {
    let of_column = |i: usize| {
        let column = &table.columns[i];
        let cells = table.rows.iter().zip(branches).map(|(r, branch)| match r.cells[i].bar {
            Some(_) => BAR,
            None if i == 0 => display_width(branch) + display_width(&r.cells[i].text),
            None => display_width(&r.cells[i].text),
        });
        let widest = cells.max().unwrap_or(0);
        let head = display_width(column.title).max(display_width(column.unit));
        let aligned = if column.align == Align::PlusMinus {
            plus_minus_width(table, i)
        } else {
            0
        };
        widest.max(head).max(aligned)
    };
    (0..table.columns.len()).map(of_column).collect()
}

/// Left and right of the point at which a `PlusMinus` column is aligned.
fn split(text: &str) -> (&str, &str) {
    let at = text.find(" ±").or_else(|| text.rfind(' ')).unwrap_or(text.len());
    text.split_at(at)
}

fn plus_minus_sides(table: &Table, i: usize) -> (usize, usize) {
    let sides = table.rows.iter().map(|r| split(&r.cells[i].text));
    sides.fold((0, 0), |(l, r), (left, right)| {
        (l.max(display_width(left)), r.max(display_width(right)))
    })
}

fn plus_minus_width(table: &Table, i: usize) -> usize {
    let (left, right) = plus_minus_sides(table, i);
    left + right
}

fn head(table: &Table, widths: &[usize], gap: &str, paint: Paint) -> Vec<String> {
    let side = |text: &str, i: usize| match table.columns[i].align {
        Align::Left => padded(text, widths[i], false),
        // A head stands over the middle of a column that is aligned in its middle.
        Align::Right | Align::PlusMinus => padded(text, widths[i], true),
    };
    let line = |text: fn(&crate::report::tables::Column) -> &'static str| {
        let cells: Vec<String> = table
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| side(text(c), i))
            .collect();
        cells.join(gap)
    };
    let units = line(|c| c.unit);
    let mut lines = vec![paint.bold(&line(|c| c.title))];
    if !units.trim().is_empty() {
        lines.push(paint.faint(&units));
    }
    lines
}

fn row_line(table: &Table, row: &Row, widths: &[usize], gap: &str, paint: Paint) -> String {
    let cells = row.cells.iter().enumerate().map(|(i, cell)| {
        let shown = cell_text(table, i, cell, widths[i]);
        match (cell.bar, row.kind) {
            (Some(_), _) => paint.bar(&shown),
            (None, RowKind::Summary) if i == 0 => paint.bold(&shown),
            _ => paint.tone(cell.tone, &shown),
        }
    });
    cells.collect::<Vec<_>>().join(gap)
}

fn cell_text(table: &Table, i: usize, cell: &Cell, width: usize) -> String {
    if let Some(share) = cell.bar {
        return padded(&bar(share), width, false);
    }
    let text = shortened(&cell.text, width);
    match table.columns[i].align {
        Align::Left => padded(&text, width, false),
        Align::Right => padded(&text, width, true),
        Align::PlusMinus => {
            let (_, right) = plus_minus_sides(table, i);
            let behind = right.saturating_sub(display_width(split(&text).1));
            padded(&format!("{text}{}", " ".repeat(behind)), width, true)
        }
    }
}

/// A share in eighths of a cell; a positive one is never invisible.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * (BAR * 8) as f64).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

fn padded(text: &str, width: usize, right: bool) -> String {
    let space = " ".repeat(width.saturating_sub(display_width(text)));
    if right { space + text } else { text.to_owned() + &space }
}

/// `text` in at most `width` columns, an ellipsis in its middle where something is missing: names often differ at their ends.
pub(super) fn shortened(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let head = prefix(text.chars(), room.div_ceil(2));
    let tail = prefix(text.chars().rev(), room / 2);
    head.iter().chain(['…'].iter()).chain(tail.iter().rev()).collect()
}

/// As many of the characters as fit into `width` columns.
fn prefix(chars: impl Iterator<Item = char>, width: usize) -> Vec<char> {
    let mut used = 0;
    let fits = chars.take_while(|c| {
        used += display_width(c.encode_utf8(&mut [0; 4]));
        used <= width
    });
    fits.collect()
}
