//! A memory-mapped file and the tensors that lie in it.

use std::{fs::File, ops::Range, path::Path, sync::Arc};

use memmap2::Mmap;
use tch::{Device, Kind, TchError, Tensor};

use super::CheckpointError;

/// A whole file as bytes.
pub(super) fn map(path: &Path) -> Result<Arc<Mmap>, CheckpointError> {
    let unreadable = |source| CheckpointError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    // SAFETY: as with every mapping, a file that another program shortens under us ends this one by SIGBUS. Checkpoints are
    // replaced by rename (ours and transformers'), which leaves a mapped file as it was.
    unsafe { Mmap::map(&file) }.map(Arc::new).map_err(unreadable)
}

/// One tensor inside a file: a box of elements over a storage. Invariant, kept by [`Stored::new`]: all of it lies in the file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    file: Arc<Mmap>,
    /// Bytes of the storage in the file.
    storage: Range<usize>,
    kind: Kind,
    pub(super) shape: Vec<i64>,
    /// In elements; `None` for row-major without gaps.
    strides: Option<Vec<i64>>,
    /// First element in the storage.
    offset: i64,
}

impl Stored {
    /// `Err` says what does not fit.
    pub(super) fn new(
        file: Arc<Mmap>,
        storage: Range<usize>,
        kind: Kind,
        shape: Vec<i64>,
        strides: Option<Vec<i64>>,
        offset: i64,
    ) -> Result<Self, String> {
        if storage.start > storage.end || storage.end > file.len() {
            return Err(format!(
                "storage {storage:?} lies outside the file of {} bytes",
                file.len()
            ));
        }
        let held = ((storage.end - storage.start) / kind.elt_size_in_bytes()) as i64;
        let strides = strides.filter(|strides| strides[..] != row_major(&shape)[..]);
        let end = match &strides {
            Some(strides) if strides.len() != shape.len() => {
                return Err(format!("shape {shape:?} has strides {strides:?}"));
            }
            Some(strides) => last_element(&shape, strides).and_then(|last| last.checked_add(offset)?.checked_add(1)),
            None => element_count(&shape).and_then(|n| n.checked_add(offset)),
        };
        match end {
            Some(end) if offset >= 0 && (end <= held || shape.contains(&0)) => Ok(Self {
                file,
                storage,
                kind,
                shape,
                strides,
                offset,
            }),
            _ => Err(format!(
                "shape {shape:?} at {offset} with strides {strides:?} exceeds a storage of {held} elements"
            )),
        }
    }

    /// Copies the elements out.
    pub(super) fn tensor(&self, kind: Kind, device: Device) -> Result<Tensor, TchError> {
        let bytes = &self.file[self.storage.clone()];
        let size = self.kind.elt_size_in_bytes();
        let tensor = match &self.strides {
            None => Tensor::f_from_data_size(&bytes[self.offset as usize * size..], &self.shape, self.kind)?,
            Some(strides) => {
                let all = Tensor::f_from_data_size(bytes, &[(bytes.len() / size) as i64], self.kind)?;
                all.f_as_strided(&self.shape, &strides[..], self.offset)?
                    .f_contiguous()?
            }
        };
        // Convert where the device is: half as many bytes cross the bus when halves are widened.
        tensor.f_to_device(device)?.f_to_kind(kind)
    }

    /// Whether two tied names hold the same numbers: usually they share their bytes, and none are read.
    pub(super) fn same_values(&self, other: &Self) -> bool {
        if (self.kind, &self.shape) != (other.kind, &other.shape) {
            return false;
        }
        let layout = |t: &Self| (t.storage.clone(), t.strides.clone(), t.offset);
        if Arc::ptr_eq(&self.file, &other.file) && layout(self) == layout(other) {
            return true;
        }
        match (
            self.tensor(self.kind, Device::Cpu),
            other.tensor(other.kind, Device::Cpu),
        ) {
            (Ok(a), Ok(b)) => a.f_equal(&b).unwrap_or(false),
            _ => false,
        }
    }
}

fn row_major(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1i64; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
    }
    strides
}

/// `None` where the count overflows or a dimension is negative.
fn element_count(shape: &[i64]) -> Option<i64> {
    shape
        .iter()
        .try_fold(1i64, |n, &d| if d < 0 { None } else { n.checked_mul(d) })
}

/// Distance of the last element from the first.
fn last_element(shape: &[i64], strides: &[i64]) -> Option<i64> {
    element_count(shape)?;
    shape.iter().zip(strides).try_fold(0i64, |last, (&d, &stride)| {
        if stride < 0 {
            None
        } else {
            last.checked_add((d - 1).max(0).checked_mul(stride)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(floats: &[f32]) -> Arc<Mmap> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&floats.iter().flat_map(|f| f.to_le_bytes()).collect::<Vec<_>>())
            .unwrap();
        map(file.path()).unwrap()
    }

    fn stored(shape: &[i64], strides: Option<&[i64]>, offset: i64) -> Result<Stored, String> {
        let file = file(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        Stored::new(
            file,
            0..24,
            Kind::Float,
            shape.to_vec(),
            strides.map(<[i64]>::to_vec),
            offset,
        )
    }

    #[test]
    fn transposed_and_offset_views_are_copied_out_in_order() {
        let values = |stored: Stored| {
            let tensor = stored.tensor(Kind::Double, Device::Cpu).unwrap();
            Vec::<f64>::try_from(tensor.flatten(0, -1)).unwrap()
        };
        assert_eq!(
            values(stored(&[2, 3], None, 0).unwrap()),
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        );
        assert_eq!(
            values(stored(&[3, 2], Some(&[1, 3]), 0).unwrap()),
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        assert_eq!(values(stored(&[2], Some(&[2]), 1).unwrap()), [1.0, 3.0]);
        assert_eq!(values(stored(&[2, 2], None, 2).unwrap()), [2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn nothing_outside_the_storage_can_be_named() {
        for (shape, strides, offset) in [
            (&[7][..], None, 0),
            (&[2, 3], None, 1),
            (&[6], None, -1),
            (&[3, 2], Some(&[3, 1][..]), 0),
            (&[2], Some(&[-1]), 1),
            (&[2, 3], Some(&[3]), 0),
            (&[i64::MAX, 4], None, 0),
            (&[-1], None, 0),
            (&[2], Some(&[i64::MAX]), 1),
        ] {
            let error = stored(shape, strides, offset).unwrap_err();
            assert!(error.contains("shape"), "{error}");
        }
        let outside = Stored::new(file(&[0.0]), 0..8, Kind::Float, vec![2], None, 0).unwrap_err();
        assert_eq!(outside, "storage 0..8 lies outside the file of 4 bytes");
    }
}
