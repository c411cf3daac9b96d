//! A pickle reader that runs nothing: it knows the few opcodes and the few globals that weights are written with.
//!
//! A pickle is a program for a stack machine, and its REDUCE opcode calls whatever function a GLOBAL named. Here a global is an
//! entry of an allow-list (`value`); any other is refused by name, before anything else of the file is looked at. Opcodes: CPython's
//! `Lib/pickletools.py`; those of protocol 2 that `torch.save` emits (torch/serialization.py), and no others.
//!
//! Objects lie in one arena and refer to each other by index, so a hostile file can neither build a cycle that leaks nor a
//! nesting whose destruction overflows the stack; memory is bounded by a small multiple of the
//! bytes read.

mod cursor;
mod machine;
mod value;

use tch::Kind;

use machine::Machine;
use value::Object;
pub(super) use value::Value;

/// Why a pickle was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PickleError {
    Foreign { module: String, name: String },
    Malformed(String),
}

impl PickleError {
    fn at(position: usize, problem: impl std::fmt::Display) -> Self {
        Self::Malformed(format!("pickle, byte {position}: {problem}"))
    }
}

/// What a persistent id says of a storage; its bytes lie elsewhere in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) kind: Kind,
    pub(super) elements: i64,
}

/// A tensor over a storage, in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorRef {
    pub(super) storage: Storage,
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) strides: Vec<i64>,
}

/// A pickle that was read: its value, and the arena that the value points into.
#[derive(Debug)]
pub(super) struct Pickle {
    value: Value,
    arena: Vec<Object>,
    /// Bytes up to and with STOP: the next pickle of a file begins there.
    pub(super) length: usize,
}

impl Pickle {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, PickleError> {
        let mut machine = Machine::new(bytes);
        let value = machine.run()?;
        Ok(Self {
            value,
            length: machine.position(),
            arena: machine.arena,
        })
    }

    pub(super) fn int(&self) -> Option<i128> {
        if let Value::Int(n) = self.value { Some(n) } else { None }
    }

    /// The strings of a list of strings.
    pub(super) fn strings(&self) -> Option<Vec<&str>> {
        let Value::Object(at) = self.value else { return None };
        let Object::List(items) = &self.arena[at] else {
            return None;
        };
        items
            .iter()
            .map(|item| {
                if let Value::Text(text) = item {
                    Some(&**text)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Entry of a dict by a string key.
    pub(super) fn entry(&self, key: &str) -> Option<&Value> {
        self.dict()?
            .iter()
            .find_map(|(k, value)| matches!(k, Value::Text(text) if **text == *key).then_some(value))
    }

    /// The tensors of a state dict; the error names the entry that is none.
    pub(super) fn tensors(&self) -> Result<Vec<(&str, &TensorRef)>, String> {
        let entries = self.dict().ok_or("holds no dict of tensors")?;
        let mut tensors = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let Value::Text(name) = key else {
                return Err(format!("a key of the state dict is {key:?}, not a string"));
            };
            match value {
                Value::Object(at) if matches!(self.arena[*at], Object::Tensor(_)) => {
                    let Object::Tensor(tensor) = &self.arena[*at] else {
                        continue;
                    };
                    tensors.push((&**name, tensor));
                }
                _ => {
                    return Err(format!(
                        "entry `{name}` is not a tensor: this is not a plain state dict"
                    ));
                }
            }
        }
        Ok(tensors)
    }

    fn dict(&self) -> Option<&[(Value, Value)]> {
        let Value::Object(at) = self.value else { return None };
        if let Object::Dict(entries) = &self.arena[at] {
            Some(entries)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed(bytes: &[u8]) -> String {
        match Pickle::read(bytes).unwrap_err() {
            PickleError::Malformed(problem) => problem,
            foreign => panic!("{foreign:?}"),
        }
    }

    #[test]
    fn foreign_global_is_refused_by_name_before_it_is_called() {
        let error = Pickle::read(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.").unwrap_err();
        assert_eq!(
            error,
            PickleError::Foreign {
                module: "os".into(),
                name: "system".into()
            }
        );
        let error = Pickle::read(b"\x80\x02ctorch\nload\n.").unwrap_err();
        assert_eq!(
            error,
            PickleError::Foreign {
                module: "torch".into(),
                name: "load".into()
            }
        );
    }

    #[test]
    fn allowed_globals_cannot_be_called_with_other_arguments() {
        assert!(malformed(b"\x80\x02ccollections\nOrderedDict\n]\x85R.").contains("a call of"));
        assert!(malformed(b"\x80\x02ctorch\nFloatStorage\n)R.").contains("a call of"));
        assert!(malformed(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.").contains("describe a tensor"));
    }

    #[test]
    fn cut_off_or_odd_pickles_are_errors_wherever_they_end() {
        let whole = b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00bM\x00\x02u.";
        assert_eq!(Pickle::read(whole).unwrap().entry("b"), Some(&Value::Int(512)));
        for end in 0..whole.len() {
            malformed(&whole[..end]);
        }
        assert!(malformed(b"\x80\x04.").contains("protocol 4"));
        assert!(malformed(b"\x80\x02\x93.").contains("opcode 0x93"));
        assert!(malformed(b"h\x00.").contains("memo slot 0 is empty"));
        assert!(malformed(b"Nr\xff\xff\xff\xff.").contains("memo slot"));
    }

    #[test]
    fn deep_nesting_neither_recurses_nor_overflows() {
        let mut bytes = vec![b')'];
        bytes.resize(1_000_000, 0x85);
        bytes.push(b'.');
        assert_eq!(Pickle::read(&bytes).unwrap().length, bytes.len());
    }

    #[test]
    fn integers_of_any_width_keep_their_sign() {
        let int = |bytes: &[u8]| Pickle::read(bytes).unwrap().int();
        assert_eq!(int(b"J\xff\xff\xff\xff."), Some(-1));
        assert_eq!(int(b"\x8a\x00."), Some(0));
        assert_eq!(int(b"\x8a\x02\x00\x80."), Some(-32768));
        assert_eq!(
            int(b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."),
            Some(0x1950_a86a_20f9_469c_fc6c)
        );
    }
}
