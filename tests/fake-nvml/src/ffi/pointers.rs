//! The caller's pointers. Owns every access to memory that is not ours, and the one assumption behind it:
//!
//! *nvml.h's contract*: a pointer argument is null, or points to as many valid objects of its type as the function's
//! description says, which nobody else uses during the call. Null is answered with `InvalidArgument`, as NVML does.
//!
//! The types are `repr(transparent)`: in a signature they are the pointer that nvml.h has there.

use std::ffi::{CStr, c_char, c_uint};

use crate::status::Status;

/// `T *out`
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct Out<T>(*mut T);

impl<T: Copy> Out<T> {
    pub(super) fn set(self, value: T) -> Result<(), Status> {
        if self.0.is_null() {
            return Err(Status::InvalidArgument);
        }
        // SAFETY: not null, so valid for one T by nvml.h's contract. Unaligned, since C callers pack structs at times.
        unsafe { self.0.write_unaligned(value) };
        Ok(())
    }

    /// What stands there: sizes and versions that the caller fills in.
    pub(super) fn get(self) -> Result<T, Status> {
        if self.0.is_null() {
            return Err(Status::InvalidArgument);
        }
        // SAFETY: as above; the functions that read are those whose description has the caller initialise it.
        Ok(unsafe { self.0.read_unaligned() })
    }
}

/// `char *out, unsigned int length`
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct OutText(*mut c_char);

impl OutText {
    pub(super) fn set(self, text: &str, length: c_uint) -> Result<(), Status> {
        if self.0.is_null() {
            return Err(Status::InvalidArgument);
        }
        if (length as usize) < text.len() + 1 {
            return Err(Status::InsufficientSize);
        }
        // SAFETY: valid for `length` bytes by nvml.h's contract, and text and terminator are not longer than that.
        unsafe {
            self.0.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len());
            self.0.add(text.len()).write(0);
        }
        Ok(())
    }
}

/// `const char *in`
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct InText(*const c_char);

impl InText {
    pub(super) fn get(self) -> Result<String, Status> {
        if self.0.is_null() {
            return Err(Status::InvalidArgument);
        }
        // SAFETY: a terminated string by nvml.h's contract.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str().map(str::to_owned).map_err(|_| Status::InvalidArgument)
    }
}

/// `T *array`, whose length is another argument.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct OutArray<T>(*mut T);

impl<T: Copy> OutArray<T> {
    pub(super) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Element `position`, which the caller of this checked against the length.
    pub(super) fn at(self, position: usize) -> Out<T> {
        // Wrapping: whether it is in bounds matters to whoever dereferences it, and null stays checked by them.
        if self.0.is_null() {
            Out(self.0)
        } else {
            Out(self.0.wrapping_add(position))
        }
    }
}
