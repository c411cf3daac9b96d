//! The wire format as laws (any line survives the pipe, no bytes panic) and as a table of what is accepted and refused.

use powerprof_markers::wire::{MAX_LINE, parse};
use powerprof_markers::{Devices, Event, Line, Name, Verb, WireError};
use proptest::prelude::*;

/// Everything a [`Line`] can hold, owned, so that proptest can make it.
#[derive(Debug, Clone)]
struct Parts {
    verb: Verb,
    name: String,
    t: Option<u64>,
    rank: u32,
    first: Option<u64>,
    second: Option<u64>,
    devices: Option<String>,
    value: f64,
    dropped: Option<u64>,
}

impl Parts {
    fn line(&self) -> Line<'_> {
        let name = Name::new(&self.name).expect("the strategy makes valid names");
        let devices = self
            .devices
            .as_deref()
            .map(|list| Devices::new(list).expect("valid lists"));
        let event = match self.verb {
            Verb::Begin => Event::Begin {
                index: self.first,
                devices,
            },
            Verb::End => Event::End {
                samples: self.first,
                tokens: self.second,
            },
            Verb::Mark => Event::Mark {
                samples: self.first,
                tokens: self.second,
            },
            Verb::Metric => Event::Metric { value: self.value },
        };
        Line {
            name,
            event,
            t: self.t,
            rank: self.rank,
            dropped: self.dropped,
        }
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    let verb = prop_oneof![Just(Verb::Begin), Just(Verb::End), Just(Verb::Mark), Just(Verb::Metric)];
    let devices = proptest::option::of("[!-+.-~]{1,40}(,[!-+.-~]{1,40}){0,19}");
    let number = proptest::option::of(prop_oneof![Just(0), Just(u64::MAX), any::<u64>()]);
    (
        verb,
        "[A-Za-z0-9_.-]{1,64}",
        number.clone(),
        prop_oneof![Just(0), Just(u32::MAX), any::<u32>()],
        number.clone(),
        number.clone(),
        devices.prop_map(|list| list.filter(|l| l.len() <= Devices::MAX)),
        prop_oneof![Just(f64::MIN_POSITIVE), Just(f64::MIN), Just(-0.0), any::<f64>()],
        number,
    )
        .prop_map(|(verb, name, t, rank, first, second, devices, value, dropped)| Parts {
            verb,
            name,
            t,
            rank,
            first,
            second,
            devices,
            value,
            dropped,
        })
}

fn encoded(line: &Line<'_>) -> Vec<u8> {
    let mut buffer = [0; MAX_LINE];
    let len = line.encode_into(&mut buffer);
    buffer[..len].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_encoded_is_parsed_back(parts in parts()) {
        let line = parts.line();
        let bytes = encoded(&line);
        prop_assert!(bytes.len() <= MAX_LINE && bytes.ends_with(b"\n"));
        prop_assert_eq!(bytes.iter().filter(|&&b| b == b'\n').count(), 1);
        let back = parse(&bytes).expect("an encoded line is valid");
        if parts.verb == Verb::Metric && parts.value.is_nan() {
            prop_assert!(back.value().is_some_and(f64::is_nan)); // NaN != NaN, so the line as a whole cannot be compared
        } else {
            prop_assert_eq!(back, line);
            prop_assert_eq!(back.value().map(f64::to_bits), line.value().map(f64::to_bits)); // -0.0 stays -0.0
        }
    }

    #[test]
    fn blanks_and_carriage_returns_change_nothing(parts in parts(), blanks in 1_usize..4) {
        prop_assume!(parts.verb != Verb::Metric || !parts.value.is_nan());
        let line = parts.line();
        let text = String::from_utf8(encoded(&line)).expect("ASCII");
        let sloppy = format!("{} \r\n", text.trim_end().replace(' ', &" ".repeat(blanks)));
        prop_assume!(sloppy.len() <= MAX_LINE);
        prop_assert_eq!(parse(sloppy.as_bytes()), Ok(line));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1100)) {
        if let Err(error) = parse(&bytes) {
            prop_assert!(error.to_string().len() < 300, "{}", error);
        }
    }

    #[test]
    fn no_text_near_the_format_panics(text in "(begin|end|mark|metric|x)( {0,2}(train|t|rank|value|devices|samples|é|=|=1|=-1|=1e9|=,)){0,6}\r?\n?") {
        // Either outcome is right here: what matters is that an accepted line can be sent on unchanged in meaning.
        if let Ok(line) = parse(text.as_bytes()) {
            let again = encoded(&line);
            prop_assert_eq!(parse(&again), Ok(line));
        }
    }

    #[test]
    fn cutting_a_line_never_invents_a_verb_or_a_key(parts in parts(), keep in 0.0..1.0_f64) {
        let line = parts.line();
        let bytes = encoded(&line);
        let cut = &bytes[..(bytes.len() as f64 * keep) as usize];
        if let Ok(part) = parse(cut) {
            prop_assert_eq!(part.verb(), line.verb());
            prop_assert!(part.samples().is_none() || line.samples().is_some());
            prop_assert!(part.dropped.is_none() || line.dropped.is_some());
        }
    }
}

#[test]
fn the_longest_line_fits_exactly() {
    let name = "n".repeat(Name::MAX);
    let devices = "d".repeat(Devices::MAX);
    let line = Line {
        name: Name::new(&name).expect("valid"),
        event: Event::Begin {
            index: Some(u64::MAX),
            devices: Devices::new(&devices).ok(),
        },
        t: Some(u64::MAX),
        rank: u32::MAX,
        dropped: Some(u64::MAX),
    };
    let bytes = encoded(&line);
    assert_eq!(bytes.len(), MAX_LINE);
    assert_eq!(parse(&bytes), Ok(line));
}

#[test]
fn a_shell_line_says_what_it_can() {
    let line = parse(b"begin train\n").expect("valid");
    assert_eq!(
        (line.verb(), line.name.as_str(), line.t, line.rank),
        (Verb::Begin, "train", None, 0)
    );

    let line = parse(b"end step t=17 rank=3 samples=8 tokens=8192 dropped=2").expect("valid without newline");
    assert_eq!(
        (line.t, line.rank, line.samples(), line.tokens()),
        (Some(17), 3, Some(8), Some(8192))
    );
    assert_eq!(
        (line.dropped, line.index(), line.value(), line.devices()),
        (Some(2), None, None, None)
    );

    let line = parse(b"begin step index=41 devices=0,1\r\n").expect("valid with CR LF");
    assert_eq!(
        (line.index(), line.devices().map(|d| d.as_str())),
        (Some(41), Some("0,1"))
    );
    assert_eq!(parse(b"metric rouge value=31.2").expect("valid").value(), Some(31.2));
    assert_eq!(parse(b"metric lr value=3e-4").expect("valid").value(), Some(3e-4));
    assert!(
        parse(b"metric loss value=nan")
            .expect("a diverged loss")
            .value()
            .is_some_and(f64::is_nan)
    );
}

#[test]
fn unknown_keys_are_left_to_newer_readers() {
    let line = parse(b"begin train colour=red t=5 colour=blue note=").expect("valid");
    assert_eq!((line.t, line.rank), (Some(5), 0));
}

#[test]
fn every_refusal_says_what_to_write_instead() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "empty line"),
        (b"   \r\n", "empty line"),
        (b"start train", r#"unknown verb "start""#),
        (b"begin", "begin without a name"),
        (b"begin a/b", r#"bad name "a/b""#),
        (b"begin train now", r#""now" is not KEY=VALUE"#),
        (b"begin train =1", r#""=1" is not KEY=VALUE"#),
        (b"begin train t=1 t=1", "t given twice"),
        (b"begin train rank=1 rank=2", "rank given twice"),
        (
            b"begin train samples=4",
            "samples does not belong on begin; hint: put it on end or mark",
        ),
        (
            b"end train devices=0",
            "devices does not belong on end; hint: put it on begin",
        ),
        (
            b"end train index=0",
            "index does not belong on end; hint: put it on begin",
        ),
        (
            b"mark x value=1",
            "value does not belong on mark; hint: put it on metric",
        ),
        (b"metric loss value=1 tokens=2", "tokens does not belong on metric"),
        (b"begin train t=-1", r#"t="-1" is not a whole number"#),
        (b"begin train t=+1", r#"t="+1" is not a whole number"#),
        (b"begin train t=", r#"t="" is not a whole number"#),
        (b"begin train t=18446744073709551616", "is not a whole number"),
        (b"end train samples=1.5", r#"samples="1.5" is not a whole number"#),
        (b"begin train rank=4294967296", r#"rank="4294967296" is not a rank"#),
        (b"metric loss value=low", r#"value="low" is not a number"#),
        (b"metric loss", "metric without a value"),
        (b"begin train devices=0,,1", r#"devices="0,,1" is not a list"#),
        (b"begin\ttrain", "control character 0x09 at byte 5"),
        (b"begin a\nend a\n", "control character 0x0a at byte 7"),
        (b"begin train\xff", "not UTF-8 at byte 11"),
    ];
    for (bytes, expected) in cases {
        let error = parse(bytes).expect_err(&String::from_utf8_lossy(bytes)).to_string();
        assert!(
            error.starts_with(expected) || error.contains(expected),
            "{error:?} should say {expected:?}"
        );
        assert!(error.contains("; hint: "), "{error:?} gives no hint");
        assert!(
            error.chars().next().is_some_and(|c| !c.is_uppercase()),
            "{error:?} is not a lowercase fragment"
        );
    }
}

#[test]
fn the_limit_counts_the_newline() {
    let fits = format!("begin train {}=\n", "k".repeat(MAX_LINE - "begin train =\n".len()));
    assert_eq!(fits.len(), MAX_LINE);
    assert!(parse(fits.as_bytes()).is_ok());
    assert!(parse(fits.trim_end().as_bytes()).is_ok());
    let over = fits.replace("begin", "begin ");
    assert_eq!(parse(over.as_bytes()), Err(WireError::TooLong { bytes: MAX_LINE + 1 }));
    assert_eq!(
        parse(over.trim_end().as_bytes()),
        Err(WireError::TooLong { bytes: MAX_LINE + 1 })
    );
}
