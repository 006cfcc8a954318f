//! What holds for every command.

use super::*;
use clap::Command;

/// Every command with the words that lead to it.
fn walk(command: &Command, path: &str, visit: &mut impl FnMut(&str, &Command)) {
    visit(path, command);
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        walk(inner, &format!("{path} {}", inner.get_name()), visit);
    }
}

#[test]
fn the_arguments_fit_together() {
    definition().debug_assert();
}

#[test]
fn every_command_and_every_argument_says_what_it_is_for() {
    let mut commands = 0;
    walk(&definition(), "latchkey", &mut |path, command| {
        commands += 1;
        assert!(command.get_about().is_some_and(|about| about.to_string().len() > 10), "{path}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path} {}", argument.get_id());
        }
    });
    assert!(commands > 50, "{commands}");
}

#[test]
fn every_command_that_does_something_has_an_example() {
    let mut without = Vec::new();
    walk(&definition(), "latchkey", &mut |path, command| {
        if command.get_subcommands().next().is_none() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("\n  {path}");
            if !help.starts_with("Example") || !(help.contains(&example) || help.contains(path)) {
                without.push(path.to_owned());
            }
        }
    });
    assert_eq!(without, Vec::<String>::new());
}

#[test]
fn no_argument_takes_a_secret() {
    walk(&definition(), "latchkey", &mut |path, command| {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let secret = ["key_text", "secret", "token", "password", "bearer"].iter().any(|word| id.contains(word));
            // A page token is no secret, and a file is not what lies in it.
            assert!(!secret || id == "page_token" || id.ends_with("_file"), "{path} {id}");
        }
    });
}

#[test]
fn the_exit_codes_are_in_both_helps() {
    assert!(long_help().ends_with(exit::HELP));
}

#[test]
fn nothing_of_the_environment_is_shown_by_help() {
    walk(&definition(), "latchkey", &mut |path, command| {
        for argument in command.get_arguments() {
            assert_eq!(argument.get_env(), None, "{path} {}", argument.get_id());
        }
    });
}
