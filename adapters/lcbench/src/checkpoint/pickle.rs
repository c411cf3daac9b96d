//! A pickle reader that runs nothing: it knows the few opcodes and the few globals that weights are written with.
//!
//! A pickle is a program for a stack machine, and its REDUCE opcode calls whatever function a GLOBAL named. Here a global is an
//! entry of [`Global`]; any other is refused by name, before anything else of the file is looked at. Opcodes: CPython's
//! `Lib/pickletools.py`; those of protocol 2 that `torch.save` emits (torch/serialization.py), and no others.
//!
//! Objects lie in one arena and refer to each other by index, so a hostile file can neither build a cycle that leaks nor a
//! nesting whose destruction overflows the stack; memory is bounded by the file's length.

use tch::Kind;

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

/// The allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Global {
    OrderedDict,
    RebuildTensor,
    Storage(Kind),
}

impl Global {
    fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch", "FloatStorage") => Self::Storage(Kind::Float),
            ("torch", "HalfStorage") => Self::Storage(Kind::Half),
            ("torch", "BFloat16Storage") => Self::Storage(Kind::BFloat16),
            ("torch", "DoubleStorage") => Self::Storage(Kind::Double),
            ("torch", "LongStorage") => Self::Storage(Kind::Int64),
            ("torch", "IntStorage") => Self::Storage(Kind::Int),
            _ => return None,
        })
    }
}

/// A value on the stack; compound ones live in the arena.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i128),
    Text(std::rc::Rc<str>),
    Global(GlobalRef),
    Object(usize),
}

/// Hides the allow-list from other modules: they meet globals only as refused names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GlobalRef(Global);

#[derive(Debug)]
enum Object {
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Storage),
    Tensor(TensorRef),
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
        let mut machine = Machine {
            bytes,
            position: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            arena: Vec::new(),
        };
        let value = machine.run()?;
        Ok(Self {
            value,
            arena: machine.arena,
            length: machine.position,
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

struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    stack: Vec<Value>,
    /// Heights of the stack where a MARK was set.
    marks: Vec<usize>,
    memo: Vec<Option<Value>>,
    arena: Vec<Object>,
}

type Outcome<T> = Result<T, PickleError>;

impl Machine<'_> {
    fn run(&mut self) -> Outcome<Value> {
        loop {
            let at = self.position;
            let opcode = self.byte()?;
            match opcode {
                b'.' => return self.pop(),
                _ => self.step(opcode, at)?,
            }
        }
    }

    fn step(&mut self, opcode: u8, at: usize) -> Outcome<()> {
        match opcode {
            // PROTO: 2 is what torch.save asks for; later ones have opcodes that are not here.
            0x80 => match self.byte()? {
                2 => {}
                version => return Err(PickleError::at(at, format_args!("protocol {version}, expected 2"))),
            },
            b'(' => self.marks.push(self.stack.len()),
            b'}' => self.push_object(Object::Dict(Vec::new())),
            b']' => self.push_object(Object::List(Vec::new())),
            b')' => self.push_object(Object::Tuple(Vec::new())),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push_object(Object::Tuple(items));
            }
            // TUPLE1 to TUPLE3
            0x85..=0x87 => {
                let n = usize::from(opcode - 0x84);
                let items = self.pop_many(n)?;
                self.push_object(Object::Tuple(items));
            }
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' => {
                let n = self.byte()?;
                self.stack.push(Value::Int(n.into()));
            }
            b'M' => {
                let n = u16::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(n.into()));
            }
            b'J' => {
                let n = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(n.into()));
            }
            0x8a => self.long(at)?,
            b'X' => {
                let length = self.length()?;
                let text = self.text(length, at)?;
                self.stack.push(Value::Text(text.into()));
            }
            b'q' => {
                let slot = self.byte()?.into();
                self.put(slot, at)?;
            }
            b'r' => {
                let slot = self.length()?;
                self.put(slot, at)?;
            }
            b'h' => {
                let slot = self.byte()?.into();
                self.get(slot, at)?;
            }
            b'j' => {
                let slot = self.length()?;
                self.get(slot, at)?;
            }
            b's' => {
                let entry = self.pop_many(2)?;
                self.extend_dict(entry, at)?;
            }
            b'u' => {
                let entries = self.pop_to_mark()?;
                self.extend_dict(entries, at)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(vec![item], at)?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.extend_list(items, at)?;
            }
            b'c' => self.global(at)?,
            b'R' => self.reduce(at)?,
            b'Q' => self.persistent_id(at)?,
            // BUILD sets attributes: of an OrderedDict, its `_metadata` (module versions), which loading does not need.
            b'b' => drop(self.pop()?),
            other => {
                return Err(PickleError::at(
                    at,
                    format_args!("opcode {other:#04x}, which weights are not written with"),
                ));
            }
        }
        Ok(())
    }

    fn global(&mut self, at: usize) -> Outcome<()> {
        let (module, name) = (self.line(at)?, self.line(at)?);
        match Global::named(&module, &name) {
            Some(global) => self.stack.push(Value::Global(GlobalRef(global))),
            None => return Err(PickleError::Foreign { module, name }),
        }
        Ok(())
    }

    fn reduce(&mut self, at: usize) -> Outcome<()> {
        let arguments = self.pop()?;
        let called = self.pop()?;
        let arguments = self
            .tuple(&arguments)
            .ok_or_else(|| PickleError::at(at, "arguments are not a tuple"))?;
        let object = match called {
            // torch.save writes an empty one and sets the items after.
            Value::Global(GlobalRef(Global::OrderedDict)) if arguments.is_empty() => Object::Dict(Vec::new()),
            Value::Global(GlobalRef(Global::RebuildTensor)) => {
                let tensor = self.rebuild_tensor(arguments);
                Object::Tensor(tensor.ok_or_else(|| PickleError::at(at, "arguments do not describe a tensor"))?)
            }
            other => return Err(PickleError::at(at, format_args!("a call of {other:?}"))),
        };
        self.push_object(object);
        Ok(())
    }

    /// `_rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks[, metadata])`.
    fn rebuild_tensor(&self, arguments: &[Value]) -> Option<TensorRef> {
        let [Value::Object(storage), Value::Int(offset), shape, strides, ..] = arguments else {
            return None;
        };
        let Object::Storage(storage) = self.arena.get(*storage)? else {
            return None;
        };
        Some(TensorRef {
            storage: storage.clone(),
            offset: i64::try_from(*offset).ok()?,
            shape: self.ints(shape)?,
            strides: self.ints(strides)?,
        })
    }

    /// `("storage", storage class, key, location, element count[, view metadata])`; the last one in legacy files, None there.
    fn persistent_id(&mut self, at: usize) -> Outcome<()> {
        let id = self.pop()?;
        let storage = match self.tuple(&id) {
            Some(
                [
                    Value::Text(tag),
                    Value::Global(GlobalRef(Global::Storage(kind))),
                    Value::Text(key),
                    Value::Text(_),
                    Value::Int(n),
                ]
                | [
                    Value::Text(tag),
                    Value::Global(GlobalRef(Global::Storage(kind))),
                    Value::Text(key),
                    Value::Text(_),
                    Value::Int(n),
                    Value::None,
                ],
            ) if &**tag == "storage" => i64::try_from(*n).ok().map(|elements| Storage {
                key: key.to_string(),
                kind: *kind,
                elements,
            }),
            _ => None,
        };
        let storage = storage.ok_or_else(|| PickleError::at(at, "a persistent id that names no storage of its own"))?;
        self.push_object(Object::Storage(storage));
        Ok(())
    }

    fn ints(&self, value: &Value) -> Option<Vec<i64>> {
        let items = self.tuple(value)?.iter();
        items
            .map(|item| {
                if let Value::Int(n) = item {
                    i64::try_from(*n).ok()
                } else {
                    None
                }
            })
            .collect()
    }

    fn tuple(&self, value: &Value) -> Option<&[Value]> {
        let Value::Object(at) = value else { return None };
        if let Object::Tuple(items) = self.arena.get(*at)? {
            Some(items)
        } else {
            None
        }
    }

    fn extend_dict(&mut self, entries: Vec<Value>, at: usize) -> Outcome<()> {
        let Some(Value::Object(dict)) = self.stack.last() else {
            return Err(PickleError::at(at, "no dict to set items of"));
        };
        let Object::Dict(onto) = &mut self.arena[*dict] else {
            return Err(PickleError::at(at, "no dict to set items of"));
        };
        if !entries.len().is_multiple_of(2) {
            return Err(PickleError::at(at, "a key without a value"));
        }
        let mut entries = entries.into_iter();
        while let (Some(key), Some(value)) = (entries.next(), entries.next()) {
            onto.push((key, value));
        }
        Ok(())
    }

    fn extend_list(&mut self, items: Vec<Value>, at: usize) -> Outcome<()> {
        let Some(Value::Object(list)) = self.stack.last() else {
            return Err(PickleError::at(at, "no list to append to"));
        };
        let Object::List(onto) = &mut self.arena[*list] else {
            return Err(PickleError::at(at, "no list to append to"));
        };
        onto.extend(items);
        Ok(())
    }

    /// LONG1: little-endian two's complement of up to 255 bytes; legacy files begin with one of 10.
    fn long(&mut self, at: usize) -> Outcome<()> {
        let length = self.byte()?.into();
        let bytes = self.take(length)?;
        if bytes.len() > 16 {
            return Err(PickleError::at(at, format_args!("an integer of {length} bytes")));
        }
        let sign = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if sign { 0xff } else { 0 }; 16];
        wide[..bytes.len()].copy_from_slice(bytes);
        self.stack.push(Value::Int(i128::from_le_bytes(wide)));
        Ok(())
    }

    fn put(&mut self, slot: usize, at: usize) -> Outcome<()> {
        // Slots are given out one by one; a far one would only reserve memory.
        if slot > self.bytes.len() {
            return Err(PickleError::at(at, format_args!("memo slot {slot}")));
        }
        let top = self.stack.last().cloned();
        if self.memo.len() <= slot {
            self.memo.resize(slot + 1, None);
        }
        self.memo[slot] = top;
        Ok(())
    }

    fn get(&mut self, slot: usize, at: usize) -> Outcome<()> {
        let value = self.memo.get(slot).cloned().flatten();
        self.stack
            .push(value.ok_or_else(|| PickleError::at(at, format_args!("memo slot {slot} is empty")))?);
        Ok(())
    }

    fn push_object(&mut self, object: Object) {
        self.arena.push(object);
        self.stack.push(Value::Object(self.arena.len() - 1));
    }

    fn pop(&mut self) -> Outcome<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let value = if self.stack.len() > floor {
            self.stack.pop()
        } else {
            None
        };
        value.ok_or_else(|| PickleError::at(self.position, "nothing on the stack"))
    }

    fn pop_many(&mut self, n: usize) -> Outcome<Vec<Value>> {
        let mut items = (0..n).map(|_| self.pop()).collect::<Outcome<Vec<_>>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Outcome<Vec<Value>> {
        let mark = self
            .marks
            .pop()
            .ok_or_else(|| PickleError::at(self.position, "no mark on the stack"))?;
        Ok(self.stack.split_off(mark))
    }

    fn byte(&mut self) -> Outcome<u8> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn length(&mut self) -> Outcome<usize> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn take(&mut self, n: usize) -> Outcome<&[u8]> {
        let end = self.position.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| PickleError::at(self.position, "the file ends inside it"))?;
        let bytes = &self.bytes[self.position..end];
        self.position = end;
        Ok(bytes)
    }

    fn text(&mut self, length: usize, at: usize) -> Outcome<String> {
        let bytes = self.take(length)?.to_vec();
        String::from_utf8(bytes).map_err(|_| PickleError::at(at, "a string that is not UTF-8"))
    }

    /// Up to a newline, as GLOBAL writes its two names.
    fn line(&mut self, at: usize) -> Outcome<String> {
        let end = self.bytes[self.position..].iter().position(|&byte| byte == b'\n');
        let text = self.text(end.ok_or_else(|| PickleError::at(at, "a name without an end"))?, at)?;
        self.position += 1;
        Ok(text)
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
