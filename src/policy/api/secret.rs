//! Secrets in policies: they can be sent in a header and cannot be read.

use mlua::{MetaMethod, UserData, UserDataMethods};

use crate::policy::host::Host;

/// A secret, with what stands before it in a header.
#[derive(Clone)]
pub(in crate::policy) struct Secret {
    prefix: String,
    value: String,
}

// === impl Secret ===

impl Secret {
    /// The settings' secret of that name.
    pub(in crate::policy) fn named(host: &Host, name: &str) -> mlua::Result<Self> {
        host.loading.lock().secrets.insert(name.to_owned());
        let value = (host.program.secrets)(name);
        let value = value.ok_or_else(|| {
            mlua::Error::runtime(format!("there is no secret `{name}` in [secrets] of tidegate.toml"))
        })?;
        Ok(Self { prefix: String::new(), value })
    }

    /// The header value: for the wire only.
    pub(in crate::policy) fn reveal(&self) -> String {
        format!("{}{}", self.prefix, self.value)
    }
}

impl UserData for Secret {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("prefixed", |_, this, prefix: String| Ok(Self { prefix, value: this.value.clone() }));
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("***"));
    }
}
