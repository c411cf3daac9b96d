//! A kill can tear what lies in two pages: nothing that a growing file writes again does.
//!
//! The blocks are found by their signatures (HDF5 File Format Specification 3.0, sections IV.A.1.b and VII.D).

use std::fs;
use std::path::Path;

use powerprof::model::recording::{ChildExit, RunEnd};
use powerprof::recording::{Writer, recover};

use crate::made;

const PAGE: usize = 4096;

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte))
}

/// Elements of the data block of an extensible array whose first element has this number, counted after those of the index block.
fn elements(first: usize) -> usize {
    let mut start = 0;
    for level in 0.. {
        let (blocks, length) = (1 << (level / 2), 16 << ((level + 1) / 2));
        start += blocks * length;
        if first < start {
            return length;
        }
    }
    unreachable!()
}

/// Length of the metadata block that begins at `at`, if one does that is written again as the file grows.
fn length(file: &[u8], at: usize) -> Option<usize> {
    let block = &file[at..];
    // The header of an extensible array says how long its elements are; the others say where their header is.
    let element = || usize::from(file[number(&block[6..14]) + 6]);
    Some(match block.get(..4)? {
        b"OHDR" => {
            let flags = block[5];
            let times = if flags & 0x20 == 0 { 0 } else { 16 };
            let phase = if flags & 0x10 == 0 { 0 } else { 4 };
            let start = 6 + times + phase;
            let width = 1 << (flags & 3);
            start + width + number(&block[start..start + width]) + 4
        }
        b"EAHD" => 72,
        // 4 elements, the addresses of 6 data blocks and of 25 super blocks.
        b"EAIB" => 14 + 4 * element() + 8 * (6 + 25) + 4,
        b"EADB" => 18 + elements(number(&block[14..18])) * element() + 4,
        _ => return None,
    })
}

/// The signature, place and length of each such block.
fn blocks(path: &Path) -> Vec<(String, usize, usize)> {
    let file = fs::read(path).unwrap();
    let found = (0..file.len() - 4).filter_map(|at| {
        let signature = String::from_utf8_lossy(&file[at..at + 4]).into_owned();
        Some((signature, at, length(&file, at)?))
    });
    found.collect()
}

#[test]
fn nothing_that_is_written_again_crosses_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let devices = [made::gpu(0), made::cpu()];
    let mut writer = Writer::create(&path, &made::run(), &devices, false).unwrap();
    for second in 0..60 {
        writer
            .append(&made::chunk(&devices, second * 100, (second + 1) * 100))
            .unwrap();
        writer.flush().unwrap();
    }
    let blocks = blocks(&path);
    for signature in ["OHDR", "EAHD", "EAIB", "EADB"] {
        assert!(blocks.iter().any(|block| block.0 == signature), "no {signature}");
    }
    let torn: Vec<_> = blocks
        .iter()
        .filter(|(_, at, length)| at / PAGE != (at + length - 1) / PAGE)
        .collect();
    assert!(torn.is_empty(), "{torn:?}");

    // The same of blocks of rows: one that is compressed may be written again in its place, where it has the same length.
    let end = RunEnd {
        ended: made::time(6000),
        exit: ChildExit::Code(0),
    };
    writer.finish(end).unwrap();
    let file = hdf5::File::open(&path).unwrap();
    for column in ["gpu/0/power/t", "gpu/0/power/watts", "markers/arrival", "warnings/text"] {
        let column = file.dataset(column).unwrap();
        for chunk in (0..column.num_chunks().unwrap()).map(|i| column.chunk_info(i).unwrap()) {
            let (at, length) = (chunk.addr as usize, chunk.size as usize);
            assert_eq!(at / PAGE, (at + length - 1) / PAGE, "{}", column.name());
        }
    }
}

/// Nobody writes into it again, and pages would only have room between them.
#[test]
fn a_file_that_is_written_at_once_has_no_pages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    drop(Writer::create(&path, &made::run(), &[], false).unwrap());
    let paged = |path: &Path| {
        let strategy = hdf5::File::open(path).unwrap().fcpl().unwrap().file_space_strategy();
        matches!(
            strategy,
            hdf5::file::FileSpaceStrategy::FreeSpaceManager { paged: true, .. }
        )
    };
    assert!(paged(&path));
    recover(&path, None, true).unwrap();
    assert!(!paged(&path));
}
