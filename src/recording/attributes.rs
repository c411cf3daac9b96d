//! Attributes: numbers, texts, and JSON for lists and maps; one that is unknown is absent.

use hdf5::types::VarLenUnicode;
use hdf5::{H5Type, Location, MajorErrorCode, MinorErrorCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Fault;

/// A number.
pub(super) fn set<T: H5Type>(at: &Location, name: &str, value: &T) -> Result<(), Fault> {
    Ok(at.new_attr::<T>().create(name)?.write_scalar(value)?)
}

/// A number, if it is known.
pub(super) fn set_if<T: H5Type>(at: &Location, name: &str, value: Option<T>) -> Result<(), Fault> {
    value.map_or(Ok(()), |value| set(at, name, &value))
}

/// A text, of any length: attributes are all written before single-writer mode begins. NUL, which HDF5 cannot hold, is replaced.
pub(super) fn set_text(at: &Location, name: &str, text: &str) -> Result<(), Fault> {
    let text: VarLenUnicode = text
        .replace('\0', "\u{FFFD}")
        .parse()
        .map_err(|e| Fault::Shape(format!("attribute {name}: {e}")))?;
    set(at, name, &text)
}

/// A text, if it is known.
pub(super) fn set_text_if(at: &Location, name: &str, text: Option<&str>) -> Result<(), Fault> {
    text.map_or(Ok(()), |text| set_text(at, name, text))
}

/// A list or map, as JSON.
pub(super) fn set_json<T: Serialize>(at: &Location, name: &str, value: &T) -> Result<(), Fault> {
    let json = serde_json::to_string(value).map_err(|e| Fault::Shape(format!("attribute {name}: {e}")))?;
    set_text(at, name, &json)
}

/// A number, if it is there.
pub(super) fn get_if<T: H5Type>(at: &Location, name: &str) -> Result<Option<T>, Fault> {
    match at.attr(name) {
        Ok(attribute) => Ok(Some(attribute.read_scalar()?)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether an attribute could not be opened because there is none of that name: nothing below the search for it failed. Listing all names
/// first would run into an assertion of HDF5 where they are damaged (`H5A__attr_release_table`; in its debug builds, and those are ours).
fn is_absent(error: &hdf5::Error) -> bool {
    error.stack().is_some_and(|stack| {
        stack.last().is_some_and(|cause| {
            cause.major_code() == MajorErrorCode::Attr && cause.minor_code() == MinorErrorCode::NotFound
        })
    })
}

/// A number that must be there.
pub(super) fn get<T: H5Type>(at: &Location, name: &str) -> Result<T, Fault> {
    get_if(at, name)?.ok_or_else(|| lacking(at, name))
}

/// A text, if it is there.
pub(super) fn text_if(at: &Location, name: &str) -> Result<Option<String>, Fault> {
    Ok(get_if::<VarLenUnicode>(at, name)?.map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned()))
}

/// A text that must be there.
pub(super) fn text(at: &Location, name: &str) -> Result<String, Fault> {
    text_if(at, name)?.ok_or_else(|| lacking(at, name))
}

/// A list or map that must be there.
pub(super) fn json<T: DeserializeOwned>(at: &Location, name: &str) -> Result<T, Fault> {
    serde_json::from_str(&text(at, name)?)
        .map_err(|e| Fault::Content(format!("attribute {name} of {}: {e}", at.name())))
}

fn lacking(at: &Location, name: &str) -> Fault {
    Fault::Content(format!("attribute {name} of {} is missing", at.name()))
}
