//! Bytes of one line -> [`Line`]. Never panics, whatever the bytes; allocates only to describe an error.
//!
//! Liberal where a shell is sloppy (several blanks between words or at the end, CR before LF), strict where a guess would put
//! a wrong number into a report. Unknown keys are skipped: a newer client may say more.

use super::error::excerpt;
use super::{Devices, Event, Line, MAX_LINE, Name, Verb, WireError};

/// Understands one line, with or without its newline.
///
/// # Errors
/// [`WireError`] says what is wrong and what to write instead.
pub fn parse(bytes: &[u8]) -> Result<Line<'_>, WireError> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if body.len() >= MAX_LINE {
        return Err(WireError::TooLong { bytes: body.len() + 1 });
    }
    let body = body.strip_suffix(b"\r").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|error| WireError::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    if let Some((at, byte)) = text.bytes().enumerate().find(|(_, byte)| byte.is_ascii_control()) {
        return Err(WireError::ControlCharacter { byte, at });
    }

    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let verb = match words.next().ok_or(WireError::Empty)? {
        "begin" => Verb::Begin,
        "end" => Verb::End,
        "mark" => Verb::Mark,
        "metric" => Verb::Metric,
        word => return Err(WireError::UnknownVerb { word: excerpt(word) }),
    };
    let name = Name::new(words.next().ok_or(WireError::MissingName { verb })?)?;
    let mut keys = Keys::default();
    for word in words {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => (key, value),
            _ => return Err(WireError::NotKeyValue { word: excerpt(word) }),
        };
        keys.take(verb, key, value)?;
    }
    keys.into_line(verb, name)
}

/// What the words after the name said so far.
#[derive(Default)]
struct Keys<'a> {
    t: Option<u64>,
    rank: Option<u32>,
    index: Option<u64>,
    samples: Option<u64>,
    tokens: Option<u64>,
    value: Option<f64>,
    devices: Option<Devices<'a>>,
    dropped: Option<u64>,
}

impl<'a> Keys<'a> {
    fn take(&mut self, verb: Verb, key: &str, value: &'a str) -> Result<(), WireError> {
        use Verb::{Begin, End, Mark, Metric};
        match key {
            "t" => set(&mut self.t, "t", integer("t", value)?),
            "rank" => set(&mut self.rank, "rank", integer("rank", value)?),
            "dropped" => set(&mut self.dropped, "dropped", integer("dropped", value)?),
            "index" => {
                only_on(&[Begin], "index", verb)?;
                set(&mut self.index, "index", integer("index", value)?)
            }
            "devices" => {
                only_on(&[Begin], "devices", verb)?;
                set(&mut self.devices, "devices", Devices::new(value)?)
            }
            "samples" => {
                only_on(&[End, Mark], "samples", verb)?;
                set(&mut self.samples, "samples", integer("samples", value)?)
            }
            "tokens" => {
                only_on(&[End, Mark], "tokens", verb)?;
                set(&mut self.tokens, "tokens", integer("tokens", value)?)
            }
            "value" => {
                only_on(&[Metric], "value", verb)?;
                let number = value.parse().map_err(|_| bad_number("value", value))?;
                set(&mut self.value, "value", number)
            }
            _ => Ok(()),
        }
    }

    fn into_line(self, verb: Verb, name: Name<'a>) -> Result<Line<'a>, WireError> {
        let Self {
            t,
            rank,
            index,
            samples,
            tokens,
            value,
            devices,
            dropped,
        } = self;
        let event = match verb {
            Verb::Begin => Event::Begin { index, devices },
            Verb::End => Event::End { samples, tokens },
            Verb::Mark => Event::Mark { samples, tokens },
            Verb::Metric => Event::Metric {
                value: value.ok_or(WireError::MissingValue)?,
            },
        };
        Ok(Line {
            name,
            event,
            t,
            rank: rank.unwrap_or(0),
            dropped,
        })
    }
}

fn set<T>(slot: &mut Option<T>, key: &'static str, value: T) -> Result<(), WireError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(WireError::DuplicateKey { key }),
    }
}

fn only_on(verbs: &[Verb], key: &'static str, verb: Verb) -> Result<(), WireError> {
    if verbs.contains(&verb) {
        Ok(())
    } else {
        Err(WireError::KeyOnWrongVerb { key, verb })
    }
}

fn integer<T: std::str::FromStr>(key: &'static str, value: &str) -> Result<T, WireError> {
    // `FromStr` also takes a sign; the format does not.
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad_number(key, value));
    }
    value.parse().map_err(|_| bad_number(key, value))
}

fn bad_number(key: &'static str, value: &str) -> WireError {
    WireError::BadNumber {
        key,
        value: excerpt(value),
    }
}
