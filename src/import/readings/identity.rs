//! Which device a row is of: by host, index, UUID, bus and name, as far as the log says them.
//!
//! Invariant: rows that contradict each other in any of these are of different devices; a cell without an answer contradicts nothing.

use std::collections::BTreeSet;

use super::Source;
use crate::import::columns::Quantity;
use crate::import::table::Row;

/// A UUID that stands where the index should is longer than this.
const LONGEST_INDEX: usize = 8;

/// A device's place in its machine, as the tool counts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Index {
    Number(u32),
    /// `GPU-I 3` of a MIG instance.
    Word(String),
}

/// What is said of a device, in the order by which devices are listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    host: Option<String>,
    index: Option<Index>,
    uuid: Option<String>,
    bus: Option<String>,
    pub(super) name: Option<String>,
}

impl Identity {
    pub(super) fn of(source: &Source, row: &Row) -> Self {
        let index = |word: String| match word.trim_start_matches("nvidia").parse() {
            Ok(number) => Index::Number(number),
            Err(_) => Index::Word(word),
        };
        Self {
            host: source.text(row, Quantity::Host),
            index: source.text(row, Quantity::Index).map(index),
            uuid: source.text(row, Quantity::Uuid),
            bus: source.text(row, Quantity::BusId),
            name: source.text(row, Quantity::Name),
        }
    }

    /// Whether a row that says `of` can be of this device.
    fn accepts(&self, of: &Self) -> bool {
        fn agree<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        let is_known = self.uuid.is_some() && self.uuid == of.uuid;
        agree(&self.host, &of.host)
            && agree(&self.index, &of.index)
            && agree(&self.uuid, &of.uuid)
            && agree(&self.bus, &of.bus)
            && (is_known || agree(&self.name, &of.name))
    }

    /// Learn what a row of this device says.
    pub(super) fn complete(&mut self, of: Self) {
        self.host = self.host.take().or(of.host);
        self.index = self.index.take().or(of.index);
        self.uuid = self.uuid.take().or(of.uuid);
        self.bus = self.bus.take().or(of.bus);
        self.name = self.name.take().or(of.name);
    }

    pub(super) fn uuid(&self) -> Option<String> {
        self.uuid.clone().or_else(|| match &self.index {
            Some(Index::Word(word)) if word.len() > LONGEST_INDEX => Some(word.clone()),
            _ => None,
        })
    }

    /// The columns that would tell devices apart which look like this one; none where it can be no other.
    pub(super) fn untold(&self, source: &Source) -> &'static str {
        match &self.index {
            _ if self.uuid.is_some() || self.bus.is_some() => "",
            Some(Index::Word(_)) => "",
            Some(Index::Number(_)) if source.layout.has(Quantity::Host) => "`uuid`",
            Some(Index::Number(_)) => "`uuid` or `hostname`",
            None => "`index` or `uuid`",
        }
    }

    fn said(&self) -> String {
        let index = self.index.as_ref().map(|index| match index {
            Index::Number(number) => format!("index {number}"),
            Index::Word(word) => word.clone(),
        });
        let said = [
            self.host.clone(),
            index,
            self.uuid.clone(),
            self.bus.clone(),
            self.name.clone(),
        ];
        said.into_iter().flatten().take(3).collect::<Vec<_>>().join(", ")
    }
}

/// Which of the devices so far a row is of, their number where it is the first of its own; `None` where it may be of several.
pub(super) fn place<'a>(of: &Identity, known: impl Iterator<Item = &'a Identity> + Clone) -> Option<usize> {
    let is_it =
        |identity: &Identity| identity == of || (of.uuid.is_some() && identity.uuid == of.uuid && identity.accepts(of));
    if let Some(it) = known.clone().position(is_it) {
        return Some(it);
    }
    let mut possible = (0..).zip(known.clone()).filter(|(_, identity)| identity.accepts(of));
    match (possible.next(), possible.next()) {
        (None, _) => Some(known.count()),
        (Some((only, _)), None) => Some(only),
        _ => None,
    }
}

/// The devices' numbers: their indices, or how they are listed where these are no numbers of their own; then what is behind each is said.
pub(super) fn numbers<'a>(known: impl Iterator<Item = &'a Identity> + Clone) -> (Vec<u32>, Option<String>) {
    let own = (0..).zip(known.clone()).map(|(listed, identity)| match identity.index {
        Some(Index::Number(number)) => number,
        _ => listed,
    });
    let own: Vec<u32> = own.collect();
    if own.iter().collect::<BTreeSet<_>>().len() == own.len() {
        return (own, None);
    }
    let said = (0_u32..)
        .zip(known)
        .map(|(listed, identity)| format!("{listed} is {}", identity.said()));
    let said = said.collect::<Vec<_>>().join("; ");
    let listed = (0..).take(own.len()).collect();
    (
        listed,
        Some(format!(
            "several devices have one index, and were numbered anew: {said}"
        )),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(index: Option<u32>, uuid: Option<&str>, name: Option<&str>) -> Identity {
        Identity {
            host: None,
            index: index.map(Index::Number),
            uuid: uuid.map(str::to_owned),
            bus: None,
            name: name.map(str::to_owned),
        }
    }

    #[test]
    fn a_cell_without_an_answer_contradicts_nothing() {
        let known = [
            identity(Some(0), Some("GPU-a"), Some("A100")),
            identity(Some(1), None, None),
        ];
        let at = |index, uuid, name| place(&identity(index, uuid, name), known.iter());
        assert_eq!(at(Some(0), None, None), Some(0));
        assert_eq!(at(None, Some("GPU-a"), None), Some(0), "one has said so");
        assert_eq!(at(None, None, None), None, "either");
    }

    #[test]
    fn one_index_with_two_uuids_is_two_devices() {
        let known = [identity(Some(0), Some("GPU-a"), None)];
        assert_eq!(place(&identity(Some(0), Some("GPU-b"), None), known.iter()), Some(1));
        assert_eq!(place(&identity(Some(1), Some("GPU-a"), None), known.iter()), Some(1));
        let (numbers, said) = numbers([known[0].clone(), identity(Some(0), Some("GPU-b"), None)].iter());
        assert_eq!(numbers, [0, 1]);
        assert_eq!(
            said.as_deref(),
            Some("several devices have one index, and were numbered anew: 0 is index 0, GPU-a; 1 is index 0, GPU-b")
        );
    }
}
