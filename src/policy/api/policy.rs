//! `policy { … }`: what a policy's file returns.

use mlua::{Lua, Table, UserData};

/// The table given to `policy`, marked, so that a file that returns something else is told apart.
pub(in crate::policy) struct PolicyTable {
    /// The table itself; read once the file is evaluated.
    pub(in crate::policy) table: Table,
}

impl UserData for PolicyTable {}

/// The function `policy`.
#[expect(clippy::unnecessary_wraps, reason = "host functions return results")]
pub(super) fn policy(_: &Lua, table: Table) -> mlua::Result<PolicyTable> {
    Ok(PolicyTable { table })
}
