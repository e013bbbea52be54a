//! Whether a router can be used over a library, as far as that is known before anything is loaded.

use std::path::Path;

use super::calibration::check_own_data;
use crate::Result;
use crate::catalog::Catalog;
use crate::library::Skipped;
use crate::routing::{Domain, RouterConfig, RouterSetting, SettingValue, check_speakers};
use crate::text::counted;

/// Refuses a router with impossible settings, one under which nobody may have weight, and one that knows experts by data
/// that is not there, before anything is loaded. `tasks` are looked at for data besides what the library names.
///
/// # Errors
/// A usage error that says what is wrong.
pub fn check_router(catalog: &Catalog, config: &RouterConfig, tasks: Option<&Path>) -> Result<()> {
    config.check()?;
    let usable: Vec<String> = catalog.usable().map(|expert| expert.name.clone()).collect();
    let unusable: Vec<Skipped> = catalog.bad();
    check_speakers(config, &usable, unusable)?;
    check_own_data(catalog, config, tasks)
}

/// What is said of numbers of experts that were given and that the library does not have: then all take part.
pub fn beyond(catalog: &Catalog, config: &RouterConfig) -> Vec<String> {
    let experts = catalog.usable().count();
    let counts =
        config.router.settings.iter().filter(|setting| matches!(setting.domain, Domain::Count { .. }));
    let line = |setting: &&'static RouterSetting| match config.values.given(setting) {
        Some(value @ SettingValue::Count(count))
            if count > experts && experts > 0 && value != setting.default_value() =>
        {
            Some(format!(
                "{}={count} is more than the library has: all {} of it may be chosen",
                setting.name,
                counted(experts, "expert")
            ))
        }
        _ => None,
    };
    counts.filter_map(line).collect()
}
