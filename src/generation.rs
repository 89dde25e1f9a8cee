//! One loaded state of a bundle: settings, upstreams and policies together, swapped as one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::bundle::{Bundle, Hash};
use crate::exchange::forwarding::Forwarding;
use crate::fault::Fault;
use crate::gate::services::HookErrors;
use crate::policy::{Code, Compiled, Counting, HostLimits, Mount, OnError, PolicySet, Services};
use crate::settings::{self, Place, Settings};
use crate::upstream::{Upstreams, build};

/// What an exchange starts on and keeps to its end, whatever is saved meanwhile.
pub struct Generation {
    /// Counts the generations of this process, from 1.
    pub number: u64,
    /// The bundle's content in one short word.
    pub hash: String,
    /// What it was built from; nothing in a gate without a bundle.
    pub bundle: Option<Arc<Bundle>>,
    /// How responses name it.
    pub label: String,
    /// Counts its hooks that failed.
    pub hook_errors: Arc<HookErrors>,
    /// When it was built.
    pub loaded_at: SystemTime,
    /// The settings.
    pub settings: Arc<Settings>,
    /// What is added to forwarded messages.
    pub forwarding: Forwarding,
    /// Where requests can go.
    pub upstreams: Arc<Upstreams>,
    /// The policies, compiled, with their VMs.
    pub policies: PolicySet,
}

/// A bundle that was checked: everything but the VMs, which need to know the gate they serve.
pub struct Candidate {
    /// The bundle's content in one short word.
    pub hash: String,
    /// What it is made from; nothing in a gate without a bundle.
    pub bundle: Option<Arc<Bundle>>,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Where requests can go.
    pub upstreams: Arc<Upstreams>,
    /// The policies, compiled.
    pub compiled: Compiled,
}

/// The settings' name in a bundle, as faults show it.
pub(crate) const SETTINGS_FILE: &str = "tidegate.toml";

// === impl Candidate ===

impl Candidate {
    /// Checks a bundle: settings and policies, all faults at once. Secrets come from `lookup`.
    pub fn of(bundle: &Bundle, lookup: settings::Lookup<'_>) -> Result<Self, Vec<Fault>> {
        Self::adjusted(bundle, lookup, |_| Ok(()))
    }

    /// Checks a bundle whose secrets are on this machine, after `adjust` has changed its settings.
    pub fn from_bundle(
        bundle: &Bundle,
        adjust: impl Fn(&mut Settings) -> Result<(), Vec<Fault>>,
    ) -> Result<Self, Vec<Fault>> {
        Self::adjusted(bundle, &Place::look_up, adjust)
    }

    /// Checks a bundle on this machine as it stands.
    pub fn read(dir: &Path) -> Result<Self, Vec<Fault>> {
        Self::of(&crate::bundle::read(dir)?, &Place::look_up)
    }

    /// Checks a bundle with secrets from `lookup`, after `adjust` has changed its settings.
    pub fn adjusted(
        bundle: &Bundle,
        lookup: settings::Lookup<'_>,
        adjust: impl Fn(&mut Settings) -> Result<(), Vec<Fault>>,
    ) -> Result<Self, Vec<Fault>> {
        Self::adjusted_on(bundle, &Code::of(&bundle.files, Counting::Off), lookup, adjust)
    }

    /// The same with the bundle's code at hand, compiled already.
    pub fn adjusted_on(
        bundle: &Bundle,
        code: &Code,
        lookup: settings::Lookup<'_>,
        adjust: impl Fn(&mut Settings) -> Result<(), Vec<Fault>>,
    ) -> Result<Self, Vec<Fault>> {
        let mut settings = settings::parse_in(&bundle.settings_text, SETTINGS_FILE, &bundle.root, lookup)?;
        adjust(&mut settings)?;
        let mut candidate = Self::with(settings, code, bundle.hash.to_string())?;
        candidate.bundle = Some(Arc::new(bundle.clone()));
        Ok(candidate)
    }

    /// The same settings and code for another gate, which has upstreams of its own: what endpoints remember is theirs.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            hash: self.hash.clone(),
            bundle: self.bundle.clone(),
            settings: Arc::clone(&self.settings),
            upstreams: Arc::new(build::upstreams(&self.settings)),
            compiled: self.compiled.clone(),
        }
    }

    /// A gate without a bundle: everything goes to one upstream.
    pub fn drop_in(settings: Settings) -> Result<Self, Vec<Fault>> {
        Self::with(settings, &Code::of(&BTreeMap::new(), Counting::Off), "drop-in".to_owned())
    }

    fn with(settings: Settings, code: &Code, hash: String) -> Result<Self, Vec<Fault>> {
        let secrets = settings.secrets.clone();
        let secrets = Arc::new(move |name: &str| secrets.get(name).map(|secret| secret.reveal().to_owned()));
        let limits = HostLimits {
            memory: settings.limits.policy_memory,
            top_level: settings.limits.policy_load,
            json: settings.limits.json(),
            ..HostLimits::default()
        };
        let compiled = code.mounted(settings.policies.iter().map(mount).collect(), secrets, limits)?;
        let upstreams = Arc::new(build::upstreams(&settings));
        Ok(Self { hash, bundle: None, settings: Arc::new(settings), upstreams, compiled })
    }

    /// Builds the VMs, one for each worker.
    pub fn build(
        self,
        number: u64,
        services: Arc<dyn Services>,
        workers: usize,
        now: SystemTime,
    ) -> Result<Generation, Vec<Fault>> {
        let policies = self.compiled.instantiate(services, workers)?;
        Ok(Generation {
            number,
            label: self.hash.clone(),
            hash: self.hash,
            bundle: self.bundle,
            hook_errors: Arc::default(),
            loaded_at: now,
            forwarding: Forwarding::of(&self.settings.forwarding),
            settings: self.settings,
            upstreams: self.upstreams,
            policies,
        })
    }
}

/// A policy of the settings, as the host takes it.
fn mount(placed: &settings::Placed<settings::Mount>) -> Mount {
    Mount {
        name: placed.label().to_owned(),
        file: placed.file.clone(),
        params: placed.params.clone(),
        on_error: placed.on_error.map(|on_error| match on_error {
            settings::OnError::Fail => OnError::Fail,
            settings::OnError::Skip => OnError::Skip,
        }),
        line: placed.place.0,
    }
}

// === impl Generation ===

impl Generation {
    /// All of the bundle's hash; nothing in a gate without a bundle.
    pub fn full(&self) -> Option<Hash> {
        self.bundle.as_ref().map(|bundle| bundle.hash)
    }

    /// The hash as responses and logs show it.
    pub fn short_hash(&self) -> &str {
        &self.hash
    }
}
