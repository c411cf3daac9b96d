//! The command line read together with `POWERPROF_*`. clap takes the variables in; here is what it would take amiss:
//! - an empty variable is one that is not set, as everywhere else;
//! - record's flags stand at the top too (`powerprof -- COMMAND`), and their variables are no concern of the other commands.

use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::Cli;

/// A switch that a flag turns on, and a variable on or off. Without either its word is left to the configuration.
pub type Switch = Option<bool>;

/// What was typed; ends the process where that was wrong, or asked for help.
pub fn read() -> Cli {
    let first = std::env::args_os().nth(1);
    let named = |command: &Command| first.as_deref().is_some_and(|first| command.get_name() == first);
    let command = Cli::command();
    let others = command.get_subcommands().find(|command| named(command));
    let records = others.is_none_or(|command| command.get_name() == "record");
    let command = command.mut_args(|arg| {
        if records {
            unless_empty(arg)
        } else {
            arg.env(None::<&'static str>)
        }
    });
    let command = command.mut_subcommands(|command| command.mut_args(unless_empty));
    let matches: ArgMatches = command.get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut Cli::command()).exit())
}

fn unless_empty(arg: Arg) -> Arg {
    let is_empty = arg
        .get_env()
        .and_then(std::env::var_os)
        .is_some_and(|value| value.is_empty());
    if is_empty { arg.env(None::<&'static str>) } else { arg }
}

/// `1`, `true`, `yes`, `on` and their opposites; nothing: left open.
pub fn switch(text: &str) -> Result<Switch, String> {
    match text.to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "1" | "true" | "yes" | "on" | "y" | "t" => Ok(Some(true)),
        "0" | "false" | "no" | "off" | "n" | "f" => Ok(Some(false)),
        _ => Err("neither on nor off\nhint: 1 or 0".to_owned()),
    }
}
