//! `tidegate review`: from a difference to an acceptance.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{EXIT_FAULTS, ReviewArgs, fail, print};
use crate::case::lines;
use crate::fault::Fault;
use crate::review::live::{self, Gate};
use crate::review::look::Look;
use crate::review::report::Report;
use crate::review::side::visible;
use crate::review::terminal::{Decided, Session, Tty};
use crate::review::write::{self, Order, Written};
use crate::review::{Acceptance, Standing, who};

/// Shorter waits are not worth a word.
const QUIET: Duration = Duration::from_secs(1);

/// Reviews a bundle.
pub fn run(args: &ReviewArgs) -> ExitCode {
    let look = match look(args) {
        Ok(look) => look,
        Err(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            return ExitCode::from(EXIT_FAULTS);
        }
    };
    let ended = if args.accept_all {
        accept_all(args, &look)
    } else if args.ci || args.json {
        Ok(tell(args, &look))
    } else {
        ask(args, look)
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => fail(&why),
    }
}

/// Plays the cases; says on a terminal how far it is when that takes long.
fn look(args: &ReviewArgs) -> Result<Look, Vec<Fault>> {
    let (begun, shown) = (Instant::now(), std::io::stderr().is_terminal());
    let mut said = false;
    let look = Look::at(&args.bundle, &mut |done, all| {
        if shown && begun.elapsed() > QUIET && done < all {
            said = true;
            eprint!("\rplaying cases: {done} of {all} ");
        }
    });
    if said {
        eprint!("\r\x1b[K");
    }
    look
}

/// Prints what differs, and the lines that no case reaches; true when there is nothing to decide.
fn tell(args: &ReviewArgs, look: &Look) -> bool {
    let unreached = unreached(look);
    let report = Report::new(look, &unreached, |name| is_chosen(args, name));
    print(&if args.json { format!("{}\n", report.to_json()) } else { report.to_text() });
    if !args.json && !report.is_well() {
        print(&format!("to decide: tidegate review {}\n", args.bundle.display()));
    }
    report.is_well()
}

/// The lines that no case reaches, by file and hook. A bundle that cannot be played has told its faults already.
fn unreached(look: &Look) -> Vec<String> {
    let unreached = lines::unreached(&look.sight.bundle, &look.readable());
    unreached.unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// Accepts without asking.
fn accept_all(args: &ReviewArgs, look: &Look) -> Result<bool, String> {
    if let Some(acceptance) = settled(look)
        && acceptance.live != args.hold
    {
        return Ok(tell(args, look));
    }
    let chosen = look.differing().filter(|case| is_chosen(args, &case.name));
    let accepted: BTreeSet<String> = chosen.map(|case| case.name.clone()).collect();
    let told = if args.json {
        Some(Report::new(look, &unreached(look), |name| is_chosen(args, name)).to_json())
    } else {
        for case in look.faulty() {
            for fault in &case.faults {
                eprintln!("{fault}");
            }
        }
        None
    };
    accept(args, look, &accepted, told)
}

/// Asks at the terminal, then writes what was accepted.
fn ask(args: &ReviewArgs, begun: Look) -> Result<bool, String> {
    let Some(mut screen) = Tty::open() else {
        return Err("review asks on a terminal; without one there are --ci, --json and --accept-all".to_owned());
    };
    if settled(&begun).is_some() {
        return Ok(tell(args, &begun));
    }
    let mut again = || look(args);
    let session = Session::new(&mut screen, begun, args.filter.clone(), &mut again);
    let (look, decided) = session.run().map_err(|error| error.to_string())?;
    let Decided { accepted, rejected, skipped, unseen } = decided;
    if rejected + skipped > 0 {
        print(&format!("{} accepted, {rejected} rejected, {skipped} left\n", accepted.len()));
    }
    if accepted.is_empty() && !unseen {
        return Ok(false);
    }
    accept(args, &look, &accepted, None)
}

/// Writes what was accepted, and says so; true when the whole bundle is.
fn accept(args: &ReviewArgs, look: &Look, accepted: &BTreeSet<String>, told: Option<Value>) -> Result<bool, String> {
    let Some(by) = who::accepts(args.name.as_deref(), &args.bundle) else {
        return Err("who accepts? Say so with --name".to_owned());
    };
    let order = Order { look, accepted, by: &by, live: !args.hold };
    let written = match write::accept(&order) {
        Ok(written) => written,
        Err(refused) => {
            eprintln!("tidegate: {}", visible(&refused.to_string()));
            return Ok(false);
        }
    };
    let whole = written.acceptance.is_some();
    if let Some(mut told) = told {
        told["accepted"] = json!(accepted);
        told["ok"] = json!(whole);
        print(&format!("{told}\n"));
        return Ok(whole);
    }
    print(&said(args, look, &written));
    if whole && !args.hold {
        print(&gate(look));
    }
    Ok(whole)
}

/// What was written, in a few words.
fn said(args: &ReviewArgs, look: &Look, written: &Written) -> String {
    let hash = look.sight.bundle.hash;
    let snapshots = match written.snapshots {
        1 => "1 snapshot written".to_owned(),
        many => format!("{many} snapshots written"),
    };
    match &written.acceptance {
        Some(acceptance) if args.hold => {
            format!(
                "accepted generation {hash} by {}: {snapshots}; `tidegate promote {hash}` makes it live\n",
                acceptance.accepted_by
            )
        }
        Some(acceptance) => format!("accepted generation {hash} by {}: {snapshots}\n", acceptance.accepted_by),
        None => format!("{snapshots}; generation {hash} is not accepted until nothing is left\n"),
    }
}

/// Whether a running gate serves it now; nothing where none runs.
fn gate(look: &Look) -> String {
    let Some(mut settings) = look.settings() else { return String::new() };
    if settings.apply_env(|name| std::env::var(name).ok()).is_err() {
        return String::new();
    }
    let admin = settings.admin.address;
    match live::wait(admin, &look.sight.bundle.hash, live::PATIENCE) {
        Gate::Live => "live\n".to_owned(),
        Gate::Other(hash) => format!("the gate at {admin} still serves {hash}; `tidegate status` says why\n"),
        Gate::Silent => String::new(),
    }
}

/// The acceptance of a bundle in which nothing differs.
fn settled(look: &Look) -> Option<&Acceptance> {
    match &look.standing {
        Standing::Accepted(acceptance) => {
            let open = look.differing().chain(look.faulty()).next().is_some();
            (!open).then_some(acceptance)
        }
        Standing::Waiting(_) => None,
    }
}

fn is_chosen(args: &ReviewArgs, name: &str) -> bool {
    args.filter.as_ref().is_none_or(|filter| name.contains(filter))
}
